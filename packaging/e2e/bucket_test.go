//go:build e2e

package e2e

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// The service of S3, as the machine knows it.
const (
	serviceName = "s3.example.com" // the tests' certificate is for it
	serviceCA   = "/etc/dbacked/s3-ca.pem"
	bucket      = "backups"
	prefix      = "some/prefix"
)

// outside is a service of S3 that is none of the machine's: its processes and its
// files are on this side. Each instance comes in by a door of its own.
type outside struct {
	*dbtest.S3Server
	doors map[string]*door // by instance
}

// door is where an instance finds the service: a port that the machine sees, TLS,
// and the policy of the instance's credentials, which the service itself would not
// know. What goes through is answered on this side.
type door struct {
	machine *machine
	address string
	proxy   *dbtest.FaultProxy
	server  *httptest.Server // nil while it is shut
}

// serve starts the service, with a bucket that locks what is in it.
func serve(t *testing.T) *outside {
	t.Helper()
	o := &outside{S3Server: dbtest.S3(t), doors: make(map[string]*door)}
	o.Bucket(t, bucket, true)
	return o
}

// well lets a request pass.
func well(*http.Request) dbtest.Fault { return dbtest.Fault{} }

// policy is one of those in the package, with the names put in as its
// documentation says.
func (b *bed) policy(t *testing.T, name, instance string) dbtest.Plan {
	t.Helper()
	text := b.sh(t, `cd /usr/share/doc/dbacked/examples && sed 's|PREFIX/NAME|%s/%s|g; s|BUCKET|%s|g' %s`, prefix, instance, bucket, name)
	file := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(file, []byte(text), 0o600))
	return dbtest.NewPolicy(t, file).Enforce(well)
}

// admit makes a door for an instance that may only write, and opens it.
func (b *bed) admit(t *testing.T, instance string, port int) *door {
	t.Helper()
	d := &door{
		machine: b.machine, address: fmt.Sprintf("127.0.0.1:%d", port),
		proxy: dbtest.NewFaultProxy(b.top, b.outside.Host, b.policy(t, "s3-write-only-policy.json", instance)),
	}
	b.outside.doors[instance] = d
	must(t, d.open())
	b.top.Cleanup(d.shut)
	return d
}

func (d *door) open() error {
	listener, err := d.machine.listen(d.address)
	if err != nil {
		return err
	}
	d.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: d.proxy, ErrorLog: log.New(io.Discard, "", 0)}}
	d.server.StartTLS()
	return nil
}

// shut cuts the connections, and refuses new ones.
func (d *door) shut() {
	if d.server != nil {
		d.server.CloseClientConnections()
		d.server.Close()
		d.server = nil
	}
}

// endpoint is its address, for the machine.
func (d *door) endpoint() string {
	_, port, _ := net.SplitHostPort(d.address)
	return "https://" + net.JoinHostPort(serviceName, port)
}

// denied counts what the policy refused.
func (d *door) denied() int { return d.proxy.Done()["denied"] }

// authority is the certificate to be trusted.
func (d *door) authority() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.server.Certificate().Raw}))
}

// inside calls f with the machine's network: what it listens on or dials is there.
func (m *machine) inside(f func() error) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with this goroutine
		network, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", m.pid()))
		if err == nil {
			defer network.Close()
			err = unix.Setns(int(network.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		ended <- err
	}()
	return <-ended
}

// listen listens in the machine's network.
func (m *machine) listen(address string) (l net.Listener, err error) {
	err = m.inside(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}

// version is one version of an object in the bucket, or a mark of a removal.
type version struct{ key, id string }

// versions are all that the bucket keeps of an instance, but of the lease.
func (o *outside) versions(t *testing.T, instance string) map[version]minio.ObjectInfo {
	t.Helper()
	all := make(map[version]minio.ObjectInfo)
	options := minio.ListObjectsOptions{Prefix: prefix + "/" + instance + "/", Recursive: true, WithVersions: true}
	for o := range o.Client(t).Client.ListObjects(context.Background(), bucket, options) {
		must(t, o.Err)
		if !strings.Contains(o.Key, "/control/") {
			all[version{o.Key, o.VersionID}] = o
		}
	}
	return all
}
