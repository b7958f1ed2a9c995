//go:build bench

package main

import (
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	farDelay = 10 * time.Millisecond // each way
	farRate  = 40_000_000            // bytes a second, each connection
)

// farAway makes a server that is near one that is 20 ms away and gives each
// connection 40 MB/s. It returns its port on this machine.
func farAway(t *testing.T, socket string) (port string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := dialBlocking(socket)
			if err != nil {
				client.Close()
				continue
			}
			all.Go(func() { slowly(client, server) })
			all.Go(func() { slowly(server, client) })
		}
	})
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// slowly copies with a delay and a rate. What is on the way is held in memory,
// for as long as it is on the way. It reads no sooner than the line is free, and
// so in large pieces: it shall cost the machine little.
func slowly(to, from io.ReadWriteCloser) {
	const (
		size = 256 << 10             // more than a socket holds
		held = 16                    // pieces: twice and more what fits in the delay
		late = 20 * time.Millisecond // that a busy machine may wake this, and the line makes up for
	)
	type piece struct {
		data []byte
		due  time.Time
	}
	way, spare := make(chan piece, held), make(chan []byte, held)
	for range held {
		spare <- make([]byte, size)
	}
	go func() {
		defer close(way)
		for free := time.Now(); ; {
			time.Sleep(time.Until(free))
			data := <-spare
			n, err := from.Read(data)
			if err != nil {
				return
			}
			now := time.Now()
			if least := now.Add(-late); free.Before(least) {
				free = least
			}
			free = free.Add(time.Duration(n) * time.Second / farRate)
			due := free
			if due.Before(now) {
				due = now
			}
			way <- piece{data[:n], due.Add(farDelay)}
		}
	}()
	failed := false
	for p := range way {
		if !failed {
			time.Sleep(time.Until(p.due))
			_, err := to.Write(p.data)
			failed = err != nil
		}
		if failed { // then the reader ends
			to.Close()
			from.Close()
		}
		spare <- p.data[:size]
	}
	to.Close()
	from.Close()
}

// blocking is a connection outside Go's poller. The poller is woken by every piece
// that arrives, though nobody waits for it: 20 000 times a second, as a server
// sends 8 KiB at a time.
type blocking int

func dialBlocking(socket string) (blocking, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: socket}); err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return blocking(fd), nil
}

func (b blocking) Read(p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(b), p)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (b blocking) Write(p []byte) (done int, err error) {
	for done < len(p) {
		n, err := syscall.Write(int(b), p[done:])
		if err != nil && err != syscall.EINTR {
			return done, err
		}
		done += max(n, 0)
	}
	return done, nil
}

// Close ends what reads and writes. The number is given back with the process:
// the other direction may still hold it.
func (b blocking) Close() error { return syscall.Shutdown(int(b), syscall.SHUT_RDWR) }
