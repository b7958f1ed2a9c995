package alerts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// plain is what AUTH PLAIN says.
func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

// certificate is of 127.0.0.1, and who vouches for it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	s := httptest.NewTLSServer(nil)
	s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, roots
}

func example(state string) Message {
	return Message{ID: "id1", Project: "shop\r\nBcc: everybody@example.org", Kind: KindFailed, State: state, Text: "boom", At: start}
}

// TestMail sends mails over STARTTLS, by a server that asks for a password.
func TestMail(t *testing.T) {
	config, roots := certificate(t)
	p := newPost(t, config, "pass-word-9")
	s := SMTP{Host: "127.0.0.1", Port: p.port(), TLS: TLSStart, User: "dbacked", Password: "pass-word-9", From: "DBacked <dbacked@example.org>", Roots: roots}
	send := func(s SMTP, state string) error {
		return NewSender(s).Send(t.Context(), records.Target{Kind: TargetEmail, Config: `{"emails": ["a@example.org", "b@example.org"]}`}, example(state))
	}
	for _, state := range []string{records.EventOpened, records.EventRecovered} {
		if err := send(s, state); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(p.to, " "); got != "TO:<a@example.org> TO:<b@example.org> TO:<a@example.org> TO:<b@example.org>" {
		t.Errorf("to %s", got)
	}
	one, two := p.mails[0].Header, p.mails[1].Header
	if one.Get("Message-Id") != "<id1.opened@example.org>" || two.Get("In-Reply-To") != one.Get("Message-Id") || two.Get("Message-Id") == one.Get("Message-Id") {
		t.Errorf("%v\n%v", one, two)
	}
	if one.Get("Bcc") != "" || !strings.Contains(p.texts[0], "boom") || !strings.Contains(p.texts[1], "This is over") {
		t.Error(p.texts)
	}

	wrong := s
	wrong.Password = "pass-word-8"
	fails(t, send(wrong, "opened"), "pass-word")
	wrong = s
	wrong.Roots = nil // nobody vouches for it
	fails(t, send(wrong, "opened"), "pass-word")
	clear := newPost(t, nil, "")
	wrong = s
	wrong.Port = clear.port() // it cannot encrypt
	fails(t, send(wrong, "opened"), "pass-word")
	fails(t, send(SMTP{}, "opened"), "pass-word")
	if len(p.mails) != 2 || len(clear.mails) != 0 {
		t.Errorf("%d and %d mails", len(p.mails), len(clear.mails))
	}
}

// fails wants an error without a secret.
func fails(t *testing.T, err error, secret string) {
	t.Helper()
	if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte(secret))) {
		t.Errorf("error: %v", err)
	}
}

// TestMailFromTheFirstByte is TLS without STARTTLS.
func TestMailFromTheFirstByte(t *testing.T) {
	config, roots := certificate(t)
	p := newPost(t, nil, "pass-word-9")
	p.listener.Close()
	p.busy.Wait()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p.busy.Go(func() {
		if c, err := l.Accept(); err == nil {
			p.serve(c)
		}
	})
	host := strings.TrimPrefix(l.Addr().String(), "127.0.0.1:")
	port := 0
	for _, digit := range host {
		port = 10*port + int(digit-'0')
	}
	s := SMTP{Host: "127.0.0.1", Port: port, TLS: TLSFirst, User: "dbacked", Password: "pass-word-9", From: "dbacked@example.org", Roots: roots}
	if err := s.send(t.Context(), []string{"a@example.org"}, example("opened")); err != nil {
		t.Fatal(err)
	}
	if len(p.mails) != 1 {
		t.Errorf("%d mails", len(p.mails))
	}
}

// TestShoutrrr tells a service of shoutrrr's, and hides what its errors say.
func TestShoutrrr(t *testing.T) {
	got, status := "", http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.URL.Path + " " + string(body)
		w.WriteHeader(status)
	}))
	defer s.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	target := records.Target{Kind: TargetShoutrrr, Config: encode(t, Config{URL: "generic://" + strings.TrimPrefix(s.URL, "http://") + "/token-77777?disabletls=yes"})}
	if err := NewSender(SMTP{}).Send(t.Context(), target, example("opened")); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got, "/token-77777 ") || !strings.Contains(got, "boom") {
		t.Error(got)
	}
	status = http.StatusForbidden
	fails(t, NewSender(SMTP{}).Send(t.Context(), target, example("opened")), "77777")
	s.Close()
	fails(t, NewSender(SMTP{}).Send(t.Context(), target, example("opened")), "77777")
	target.Config = encode(t, Config{URL: "nothing://token-77777"})
	fails(t, NewSender(SMTP{}).Send(t.Context(), target, example("opened")), "77777")
}

// TestSlowWebhook gives a webhook up that does not answer.
func TestSlowWebhook(t *testing.T) {
	called, over := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(called)
		<-over
	}))
	defer s.Close()
	defer close(over)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-called
		cancel()
	}()
	fails(t, NewSender(SMTP{}).Send(ctx, records.Target{Kind: TargetWebhook, Config: encode(t, Config{URL: s.URL + "/token-77777"})}, example("opened")), "77777")
}

func encode(t *testing.T, c Config) string {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		kind string
		c    Config
		ok   bool
	}{
		{TargetEmail, Config{Emails: []string{"a@example.org", "B <b@example.org>"}}, true},
		{TargetEmail, Config{Emails: []string{"a"}}, false},
		{TargetWebhook, Config{URL: "https://example.org/token-77777"}, true},
		{TargetWebhook, Config{URL: "https://user:token-77777@example.org/"}, false},
		{TargetWebhook, Config{URL: "ftp://example.org/token-77777"}, false},
		{TargetWebhook, Config{URL: "%token-77777"}, false},
		{TargetShoutrrr, Config{URL: "ntfy://:token-77777@ntfy.sh/topic"}, true},
		{TargetShoutrrr, Config{URL: "logger://"}, false},
		{TargetShoutrrr, Config{URL: "no-service://token-77777"}, false},
		{TargetShoutrrr, Config{URL: "telegram://token-77777"}, false},
	} {
		err := c.c.Check(c.kind)
		if (err == nil) != c.ok {
			t.Errorf("%s %s: %v", c.kind, c.c.URL, err)
		}
		if err != nil && strings.Contains(err.Error(), "77777") || strings.Contains(c.c.String(), "77777") {
			t.Errorf("a secret is shown: %v, %s", err, c.c)
		}
	}
	if claimLimit < 2*sendLimit {
		t.Error("a claim ends before the sending does")
	}
}
