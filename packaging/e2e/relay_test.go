//go:build e2e

package e2e

import (
	"io"
	"net"
	"testing"
)

// dial calls something on another machine, or on this side.
type dial func() (net.Conn, error)

// dialer calls an address of the machine.
func (m *machine) dialer(address string) dial {
	return func() (conn net.Conn, err error) {
		err = m.inside(func() (err error) {
			conn, err = net.Dial("tcp", address)
			return err
		})
		return conn, err
	}
}

// relay is a network: what the machine calls at an address is carried to another.
func (m *machine) relay(t *testing.T, address string, to dial) {
	t.Helper()
	listener, err := m.listen(address)
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go carry(conn, to)
		}
	}()
}

func carry(from net.Conn, dial dial) {
	defer from.Close()
	to, err := dial()
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		io.Copy(to, from)
		to.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(from, to)
}
