package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// frame is what the documentation's part of nginx's configuration stands in.
const frame = `daemon off; master_process off; pid DIR/pid; error_log stderr;
events {}
http {
	access_log DIR/access;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
	%s
}`

// TestBehindNginx goes through the proxy of the documentation: more than the proxy
// takes unless told, to addresses that begin as the public one does, which are in no
// log.
func TestBehindNginx(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("nginx")
	dbtest.Need(t, "nginx", err)
	data, dir := filepath.Join(t.TempDir(), "data"), t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	proxy := free.Addr().String()
	free.Close()
	url, _, _ := serve(t, data, "--public-url", "http://"+proxy+"/")
	nginx(t, dir, proxy, url)

	p := create(t, data, "shop", "--agents-restore")
	content := make([]byte, 6<<20)
	_, _ = rand.Read(content)
	path := upload(t, "http://"+proxy, p, content)
	var at struct{ DownloadURL string }
	call(t, p.APIKey, "GET", url+path+"/downloadUrl", "", &at) // of the service itself
	if !strings.HasPrefix(at.DownloadURL, "http://"+proxy+"/files/") {
		t.Error("the address of a download is not the public one")
	}
	if got := download(t, "http://"+proxy, p.APIKey, path); !bytes.Equal(got, content) {
		t.Errorf("%d bytes came back that are not the %d that were stored", len(got), len(content))
	}
	log, err := os.ReadFile(filepath.Join(dir, "access"))
	must(t, err)
	if !bytes.Contains(log, []byte("/projects/own/backups")) || bytes.Contains(log, []byte("signature")) {
		t.Errorf("nginx logged:\n%s", log)
	}
}

// nginx runs one, as the documentation has it but for TLS, until the test ends.
func nginx(t *testing.T, dir, address, service string) {
	t.Helper()
	doc, err := os.ReadFile("../../packaging/doc/server.md")
	must(t, err)
	_, part, found := strings.Cut(string(doc), "```nginx\n")
	part, _, _ = strings.Cut(part, "```")
	tls := regexp.MustCompile(`(?m)^ +ssl_.*\n`)
	if !found || !strings.Contains(part, "listen 443 ssl;") || len(tls.FindAllString(part, -1)) != 2 {
		t.Fatal("where is nginx in the documentation?")
	}
	part = tls.ReplaceAllString(part, "")
	part = strings.NewReplacer("listen 443 ssl;", "listen "+address+";", "http://127.0.0.1:5000", service).Replace(part)
	config := filepath.Join(dir, "nginx.conf")
	must(t, os.WriteFile(config, []byte(strings.ReplaceAll(fmt.Sprintf(frame, part), "DIR", dir)), 0o600))
	cmd := exec.Command("nginx", "-e", "stderr", "-c", config)
	var said bytes.Buffer
	cmd.Stderr = &said
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		answer, err := http.Get("http://" + address + "/healthz")
		if err == nil {
			answer.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not answer: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
}
