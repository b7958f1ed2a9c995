package dbtest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sys/unix"
)

// versitygw is a server of the S3 protocol over a folder. It is built once,
// into the cache folder, from the Go module proxy.
const (
	versitygw        = "github.com/versity/versitygw/cmd/versitygw"
	versitygwVersion = "v1.8.0"
)

// S3Server is a service of the S3 protocol that a test started.
type S3Server struct {
	Endpoint             string // http://127.0.0.1:PORT
	Host                 string // 127.0.0.1:PORT
	AccessKey, SecretKey string // who may do all
	Dir                  string // its own temporary folder; buckets are folders in Dir/data

	server *Server
}

// Stop ends the service at once, as a crash would.
func (s *S3Server) Stop(t testing.TB) { t.Helper(); s.server.Stop(t) }

// S3 starts a versitygw, which keeps versions where a bucket asks for them.
// args are further options of its posix command.
func S3(t testing.TB, args ...string) *S3Server {
	t.Helper()
	program := buildVersitygw(t)
	port := freePort(t)
	s := &S3Server{AccessKey: "test-access-key", SecretKey: "test-secret-key", Dir: tempDir(t)}
	s.Host = fmt.Sprintf("127.0.0.1:%d", port)
	s.Endpoint = "http://" + s.Host
	s.server = &Server{Engine: "s3", Version: versitygwVersion, Port: port, Dir: s.Dir}
	data, versions := filepath.Join(s.Dir, "data"), filepath.Join(s.Dir, "versions")
	for _, dir := range []string{data, versions} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	args = append([]string{"-q", "--keep-alive", "-p", s.Host, "--health", "/health", "posix", "--versioning-dir", versions}, args...)
	if err := unix.Setxattr(data, "user.test", []byte("1"), 0); err != nil { // some kernels' tmpfs has none
		sidecar := filepath.Join(s.Dir, "sidecar")
		if err := os.Mkdir(sidecar, 0o755); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--sidecar", sidecar)
	}
	cmd := exec.Command(program, append(args, data)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey}
	s.server.daemon(t, cmd, func() error { return s.healthy() })
	return s
}

func (s *S3Server) healthy() error {
	r, err := http.Get(s.Endpoint + "/health")
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("the health check says %s", r.Status)
	}
	return nil
}

// Client speaks to the service as the one who may do all. Its connections end
// with the test.
func (s *S3Server) Client(t testing.TB) *minio.Core {
	t.Helper()
	transport, err := minio.DefaultTransport(false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := minio.NewCore(s.Host, &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Region: "us-east-1", Transport: transport, MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Bucket makes a bucket. With object lock it keeps versions too.
func (s *S3Server) Bucket(t testing.TB, name string, objectLock bool) {
	t.Helper()
	err := s.Client(t).MakeBucket(context.Background(), name, minio.MakeBucketOptions{ObjectLocking: objectLock})
	if err != nil {
		t.Fatalf("make the bucket %s: %v", name, err)
	}
}

// buildVersitygw returns the program, which is built by the first that asks.
func buildVersitygw(t testing.TB) string {
	t.Helper()
	cache := cacheDir(t)
	unlock := lock(t, filepath.Join(cache, "versitygw.lock"))
	defer unlock()
	program := filepath.Join(cache, "versitygw-"+versitygwVersion)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	making := program + ".making"
	if err := os.RemoveAll(making); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "install", "-trimpath", "-ldflags=-s -w", versitygw+"@"+versitygwVersion)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "GOBIN="+making, "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	_, err := output(cmd)
	Need(t, "versitygw "+versitygwVersion+" from the Go module proxy", err)
	if err := os.Rename(filepath.Join(making, "versitygw"), program); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(making)
	return program
}
