package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/locker"
)

const (
	readyFD   = 3 // where the process that --daemon leaves behind says that it is ready
	readyWord = "ready"
	logName   = "agent.log" // in the state folder
)

// detach starts the agent in the background and waits until it is ready, or says
// why it is not.
func (k *agentCommand) detach(a *app, underSystemd bool) error {
	if underSystemd {
		return &usageError{errors.New("--daemon is refused under systemd, which runs the agent in the background itself: leave it out")}
	}
	c, err := a.load(k.name(), k.flags(), agentNeeds)
	if err != nil {
		return err
	}
	if err := k.free(c); err != nil {
		return err
	}
	logPath := filepath.Join(c.StateDirectory, logName)
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("the log of the daemon: %w", err)
	}
	defer log.Close()
	ready, announce, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, k.detachedArgs()...)
	cmd.Env, cmd.Dir = a.environ, "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{announce}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	announce.Close()
	if err != nil {
		return fmt.Errorf("starting the daemon: %w", err)
	}
	line, _ := bufio.NewReader(ready).ReadString('\n') // its end, when the daemon ends
	if strings.TrimSpace(line) == readyWord {
		a.say("the agent of %s runs as process %d; its log is %s", c.Instance, cmd.Process.Pid, logPath)
		return cmd.Process.Release()
	}
	err = cmd.Wait()
	a.say("%s", lastLine(logPath))
	return fmt.Errorf("the daemon ended before it was ready (%v); its log is %s", err, logPath)
}

// detachedArgs is this command line, as the process in the background runs it.
func (k *agentCommand) detachedArgs() []string {
	args := make([]string, 0, len(os.Args))
	for _, arg := range os.Args[1:] {
		if arg == "--daemon" {
			arg = "--detached"
		}
		args = append(args, arg)
	}
	return args
}

// free says whether no agent of that name runs.
func (k *agentCommand) free(c *config.Config) error {
	release, err := locker.NewFile(filepath.Join(c.StateDirectory, k.lockName())).Hold()
	if err != nil {
		return fmt.Errorf("an agent of this name cannot start: %w", err)
	}
	release()
	return nil
}

// announce tells the process that started this one that the agent is ready.
func announce() {
	f := os.NewFile(readyFD, "ready")
	if f == nil {
		return
	}
	_, _ = io.WriteString(f, readyWord+"\n") // one that went away does not mind
	_ = f.Close()
}

// lastLine is the end of a log, for who does not look into it.
func lastLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}
