package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/systemd"
)

// listen serves the status page on the sockets of systemd and on the configured
// one.
func listen(c *config.Config, life *agent.Agent, check agent.Checker, log *zap.Logger) (closeAll func(), err error) {
	given, err := systemd.Listeners()
	if err != nil {
		return nil, fmt.Errorf("taking systemd's sockets: %w", err)
	}
	var all []net.Listener
	for _, l := range given {
		all = append(all, l...)
	}
	if c.Agent.Listen != "" {
		l, err := listenOn(c.Agent.Listen)
		if err != nil {
			return nil, configError(c, "DBACKED_LISTEN (from %s): %v", c.Source("DBACKED_LISTEN"), err)
		}
		all = append(all, l)
	}
	server := agent.NewServer(agent.NewHandler(life, check))
	var serving, open sync.WaitGroup
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Done()
		}
	}
	for _, l := range all {
		serving.Go(func() { _ = server.Serve(l) }) // ends with the listener
	}
	return func() {
		for _, l := range all {
			_ = l.Close()
		}
		serving.Wait()
		server.SetKeepAlivesEnabled(false)
		ctx, cancel := context.WithTimeout(context.Background(), lingerLimit)
		defer cancel()
		_, _ = await(ctx, func() (struct{}, error) { open.Wait(); return struct{}{}, nil })
		_ = server.Close()
	}, nil
}

// lingerLimit is how long a stop waits for those who were let in and have no answer
// yet. (http.Server.Shutdown would hang up on who has not sent a request yet.)
const lingerLimit = 2 * time.Second

func listenOn(address string) (net.Listener, error) {
	if !filepath.IsAbs(address) {
		return net.Listen("tcp", address)
	}
	if info, err := os.Lstat(address); err == nil && info.Mode().Type() == os.ModeSocket {
		if conn, err := net.Dial("unix", address); err == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("%s: another process listens there", address)
		}
		_ = os.Remove(address) // of an agent that was killed
	}
	l, err := net.Listen("unix", address)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(address, 0o660)
}
