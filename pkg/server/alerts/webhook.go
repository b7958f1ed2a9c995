package alerts

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Webhook is the header that proves where a POST comes from: "sha256=" and, in hex,
// the HMAC-SHA256 of the body, by the secret that was shown when the webhook was
// added. The body's id, state and at are signed with it: a receiver drops what it
// has had.
const Webhook = "Dbacked-Signature"

// NewSecret draws a webhook's secret.
func NewSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return "dbw_" + base64.RawURLEncoding.EncodeToString(b[:])
}

// Sign is the value of the header for a body.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func (s *Sender) post(ctx context.Context, c Config, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("its URL cannot be called") // the cause shows it
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "dbacked-server")
	r.Header.Set(Webhook, Sign(c.Secret, body))
	answer, err := s.http.Do(r)
	if err != nil {
		return withoutURL(err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10)
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	return nil
}

// withoutURL is an error of an HTTP client without the URL, whose path may be secret.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
