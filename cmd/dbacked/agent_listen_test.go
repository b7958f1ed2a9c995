package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/scheduler"
)

// TestListenersCloseInGoodOrder: who was let in before a stop gets an answer, even
// to a request that is sent after it.
func TestListenersCloseInGoodOrder(t *testing.T) {
	schedule, err := scheduler.Parse("@daily", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	c := new(config.Config)
	c.Agent.Listen = filepath.Join(t.TempDir(), "s.sock")
	life := agent.New(agent.Options{Instance: "shop", Schedule: schedule, Log: zap.NewNop()})
	closeAll, err := listen(c, life, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	early, late := dialSocket(t, c.Agent.Listen), dialSocket(t, c.Agent.Listen)
	askHealth(t, late) // so the one before it was let in too

	closed := make(chan struct{})
	go func() {
		defer close(closed)
		closeAll()
	}()
	for { // until the stop has begun
		conn, err := net.Dial("unix", c.Agent.Listen)
		if err != nil {
			break
		}
		conn.Close()
	}
	askHealth(t, early)
	<-closed
}

func dialSocket(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func askHealth(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	response.Body.Close()
}
