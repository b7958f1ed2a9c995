package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram in the environment makes this test binary the program.
const asProgram = "DBACKED_SERVER_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// program is dbacked-server, in a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "SUDO_USER=alice")
	return cmd
}

// ok runs it, and returns what it wrote to standard output.
func ok(t *testing.T, args ...string) []byte {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd := program(t, args...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out.Bytes()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// created is a project that project create made.
type created struct{ ID, APIKey string }

func create(t *testing.T, data, name string, args ...string) (p created) {
	t.Helper()
	must(t, json.Unmarshal(ok(t, append([]string{"project", "create", name, "--json", "--data", data}, args...)...), &p))
	return p
}

var served = regexp.MustCompile(`serving.*"(127\.0\.0\.1:\d+)"`)

// serve serves a data folder until stop is called, or the test ends.
func serve(t *testing.T, data string, args ...string) (url string, pid int, stop func()) {
	t.Helper()
	cmd := program(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data}, args...)...)
	stderr, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	ended := make(chan struct{})
	addresses := make(chan string, 1)
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if match := served.FindStringSubmatch(lines.Text()); match != nil {
				addresses <- match[1]
			}
			t.Log(lines.Text())
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("serve ended with %v", err)
		}
	}()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	select {
	case address := <-addresses:
		t.Cleanup(stop)
		return "http://" + address, cmd.Process.Pid, stop
	case <-ended:
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
	}
	t.Fatal("it does not serve")
	return "", 0, nil
}
