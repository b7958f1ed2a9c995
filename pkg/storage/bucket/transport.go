package bucket

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	connectLimit = 15 * time.Second

	// unsent bounds what lies unsent in a socket, so that "written" means that
	// the network takes it. It does not bound what is in flight.
	unsent = 256 << 10
)

func newTransport(o Options) (*http.Transport, error) {
	roots, err := o.roots()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: min(connectLimit, o.Stall), Control: limitUnsent}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &stallConn{Conn: conn, limit: o.Stall}, nil
		},
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   min(connectLimit, o.Stall),
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       o.Stall / 2, // before its deadline ends it while it is being taken
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
	}, nil
}

// roots are the system's certificates and those of CAFile.
func (o Options) roots() (*x509.CertPool, error) {
	if o.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, invalid(o.Names.CAFile, "%v", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, invalid(o.Names.CAFile, "%s holds no certificate in PEM", o.CAFile)
	}
	return pool, nil
}

// limitUnsent is only advice: where the kernel does not know it, a stalled
// upload is noticed later.
func limitUnsent(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent)
	})
}

// stallConn fails when no byte moves for limit while somebody waits for one. A
// read that waits for the answer goes on as long as the request is moving.
type stallConn struct {
	net.Conn
	limit time.Duration
}

func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	return n, c.explain("received", err)
}

func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	return n, c.explain("taken", err)
}

func (c *stallConn) explain(what string, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &stalledError{fmt.Sprintf("stalled: no byte was %s for %v", what, c.limit), err}
	}
	return err
}

// stalledError is a net.Error that says how long nothing moved.
type stalledError struct {
	text string
	err  error
}

func (e *stalledError) Error() string   { return e.text }
func (e *stalledError) Unwrap() error   { return e.err }
func (e *stalledError) Timeout() bool   { return true }
func (e *stalledError) Temporary() bool { return true }
