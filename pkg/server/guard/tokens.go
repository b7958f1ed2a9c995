package guard

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// Scheme is how a token is said: Authorization: Bearer ….
const Scheme = "Bearer"

// Tokens lets in who has a token.
type Tokens struct {
	records *records.Store
	wrong   *Attempts
	now     func() time.Time
}

// NewTokens looks tokens up in a store.
func NewTokens(r *records.Store, now func() time.Time) *Tokens {
	return &Tokens{records: r, wrong: NewAttempts(), now: now}
}

// Refused is who is not let in.
type Refused struct {
	Status  int // 401 or 429
	Message string
}

func (e *Refused) Error() string { return e.Message }

// Check finds out whose token a call carries.
func (t *Tokens) Check(r *http.Request) (records.Token, error) {
	scheme, plain, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	plain = strings.TrimSpace(plain)
	if !strings.EqualFold(scheme, Scheme) || plain == "" {
		return records.Token{}, &Refused{http.StatusUnauthorized, "this call needs a token of an administrator (Authorization: Bearer …): dbacked-server token create"}
	}
	now := t.now()
	token, err := t.records.TokenOf(r.Context(), plain, now)
	if errors.Is(err, records.ErrNotFound) {
		if !t.wrong.Allow(r, now) {
			return token, &Refused{http.StatusTooManyRequests, "too many wrong tokens from this address: wait a minute"}
		}
		return token, &Refused{http.StatusUnauthorized, "the token is not known, is over, or was revoked (a key of an agent is none)"}
	}
	if err == nil {
		t.records.TouchToken(token, now)
	}
	return token, err
}

// Headers says in an answer what a Refused means to a program.
func (e *Refused) Headers(h http.Header) {
	if e.Status == http.StatusTooManyRequests {
		h.Set("Retry-After", "30")
		return
	}
	h.Set("WWW-Authenticate", Scheme)
}
