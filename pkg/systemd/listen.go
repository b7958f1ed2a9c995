package systemd

import (
	"errors"
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
)

// Listeners returns the sockets that systemd passed to this process, by the name
// of their descriptors (FileDescriptorName= of the socket unit; the unit's name
// without one). It is empty when there are none. It may be called once: it takes
// LISTEN_FDS and its friends out of the environment, and no program that this
// process starts inherits the sockets.
//
// A descriptor that is no listening stream socket is an error, after which none
// is open.
func Listeners() (map[string][]net.Listener, error) {
	listeners := map[string][]net.Listener{}
	var failed error
	for _, f := range activation.Files(true) {
		l, err := net.FileListener(f) // of a duplicate, close-on-exec
		f.Close()
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("the socket %q that systemd passed cannot be served: %w; its unit needs ListenStream= and Accept=no", f.Name(), err))
			continue
		}
		listeners[f.Name()] = append(listeners[f.Name()], l)
	}
	if failed == nil {
		return listeners, nil
	}
	for _, named := range listeners {
		for _, l := range named {
			failed = errors.Join(failed, l.Close())
		}
	}
	return nil, failed
}
