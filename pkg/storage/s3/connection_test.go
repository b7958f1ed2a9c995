package s3

import (
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// TestOwnAuthority speaks TLS to a service whose certificate no system knows.
func TestOwnAuthority(t *testing.T) {
	server := dbtest.S3(t)
	server.Bucket(t, "tls", false)
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}})
	t.Cleanup(proxy.Close)
	o := optionsFor(server, "tls")
	o.Endpoint = proxy.URL
	_, err = open(t, o).List(t.Context(), "")
	mustHave(t, err, "unknown authority", "set DBACKED_S3_CA to")
	if bucket.Temporary(err) {
		t.Errorf("it would be tried again: %v", err)
	}
	o.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
	if err := os.WriteFile(o.CAFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, checksum := range []string{SHA256, MD5} {
		o.Checksum = checksum
		b := &bed{Store: open(t, o), t: t}
		if err := b.upload("db/"+checksum, pattern(smallestPart+1)); err != nil {
			t.Error(err)
		}
	}
	o.Endpoint = strings.Replace(server.Endpoint, "http:", "https:", 1)
	_, err = open(t, o).List(t.Context(), "")
	mustHave(t, err, "DBACKED_S3_ENDPOINT")
}

// TestSlowIsNotStalled takes a request at a pace at which the whole lasts many
// times Stall, while no pause does.
func TestSlowIsNotStalled(t *testing.T) {
	const stall = 300 * time.Millisecond
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pace := time.NewTicker(stall / 10)
		defer pace.Stop()
		for piece := make([]byte, 256<<10); ; <-pace.C {
			if _, err := io.ReadFull(r.Body, piece); err != nil {
				break
			}
		}
		w.Header().Set("ETag", `"tag"`)
	}))
	t.Cleanup(slow.Close)
	s := open(t, Options{Bucket: "slow", Endpoint: slow.URL, AccessKey: "a", SecretKey: "b", Stall: stall, Backoff: quick})
	began := time.Now()
	if err := s.Put(t.Context(), "db/o", make([]byte, 16<<20)); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < 3*stall {
		t.Errorf("it took only %v", took)
	}
}

// TestSecretsStayOut has a service repeat all that it was sent in its answer.
func TestSecretsStayOut(t *testing.T) {
	const secret, token = "s3cret/key", "t0ken+value"
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		text := r.URL.String() + "?X-Amz-Signature=abc " + secret + "\n" + r.Header.Get("X-Amz-Security-Token") + strings.Repeat(" long", 500)
		_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>"+text+"</Message></Error>")
	}))
	t.Cleanup(service.Close)
	s := open(t, Options{Bucket: "echo", Endpoint: service.URL, AccessKey: "key", SecretKey: secret, SessionToken: token, Backoff: quick})
	_, listErr := s.List(t.Context(), "db/")
	for _, err := range []error{listErr, s.Put(t.Context(), "db/x", nil), s.Remove(t.Context(), "db/x"), (&bed{Store: s, t: t}).upload("db/x", pattern(smallestPart))} {
		mustHave(t, err, "403 AccessDenied")
		for _, word := range []string{secret, token, "Signature", "\n"} {
			if strings.Contains(strings.ReplaceAll(err.Error(), "\nabort", ""), word) {
				t.Errorf("%q holds %q", err, word)
			}
		}
		if len(err.Error()) > 1500 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}

// TestCredentialsFromElsewhere takes them from where Amazon's tools look.
func TestCredentialsFromElsewhere(t *testing.T) {
	server := dbtest.S3(t)
	server.Bucket(t, "chain", false)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ACCESS_KEY", "AWS_SECRET_KEY"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
	o := optionsFor(server, "chain")
	o.AccessKey, o.SecretKey = "", ""
	_, err := open(t, o).List(t.Context(), "")
	mustHave(t, err, "no credentials", "DBACKED_S3_ACCESS_KEY_ID")
	if !errors.Is(err, bucket.ErrNoCredentials) || bucket.Temporary(err) {
		t.Errorf("%v", err)
	}

	var asked atomic.Int32
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, `{"AccessKeyId":"`+server.AccessKey+`","SecretAccessKey":"`+server.SecretKey+`","Expiration":"2100-01-01T00:00:00Z"}`)
	}))
	t.Cleanup(metadata.Close)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", metadata.URL)
	s := open(t, o)
	for range 3 {
		if _, err := s.List(t.Context(), ""); err != nil {
			t.Error(err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	file := filepath.Join(t.TempDir(), "credentials")
	text := "[default]\naws_access_key_id = " + server.AccessKey + "\naws_secret_access_key = " + server.SecretKey + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	if _, err := open(t, o).List(t.Context(), ""); err != nil {
		t.Error(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", server.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	_, err = open(t, o).List(t.Context(), "")
	mustHave(t, err, "SignatureDoesNotMatch", "DBACKED_S3_SECRET_ACCESS_KEY")
}
