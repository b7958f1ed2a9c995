package bucket

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Error says what failed on which object, what the service answered, and what
// to do. It wraps storage.ErrNotFound where an object is missing, and
// storage.ErrLocked where one may not be removed yet, and storage.ErrForbidden
// where these credentials may not do this.
type Error struct {
	Doing   string // "list", "write part 3 of"
	Address string // s3://bucket/prefix/name
	Status  int    // of the answer; 0 if there was none
	Code    string // "AccessDenied", as the service calls it
	Message string // the service's own words
	Request string // the service's id of the request, for its support
	Region  string // where the bucket is, if the answer says that it is elsewhere
	Advice  string
	Err     error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: ", e.Doing, e.Address)
	switch {
	case errors.Is(e.Err, storage.ErrNotFound):
		b.WriteString(storage.ErrNotFound.Error())
	case e.Status == 0 && e.Code == "":
		fmt.Fprintf(&b, "%v", e.Err)
	default:
		b.WriteString(e.answered())
	}
	if e.Advice != "" {
		fmt.Fprintf(&b, ": %s", e.Advice)
	}
	return b.String()
}

func (e *Error) answered() string {
	text := "the service answered"
	if e.Status != 0 {
		text += fmt.Sprintf(" %d", e.Status)
	}
	if e.Code != "" && !strings.HasPrefix(e.Code, fmt.Sprint(e.Status)) {
		text += " " + e.Code
	}
	if e.Message != "" && !strings.HasPrefix(e.Message, fmt.Sprint(e.Status)) {
		text += fmt.Sprintf(" (%s)", strings.TrimRight(e.Message, ". "))
	}
	if e.Request != "" {
		text += ", request " + e.Request
	}
	return text
}

// Unwrap is what is wrong, where the service's answer says no more.
func (e *Error) Unwrap() error { return e.Err }

// Explain makes an *Error of what minio-go returned, in a TemporaryError where
// the same call may work later.
func (c *Client) Explain(doing, name string, a *Answer, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Doing: doing, Address: c.Address(name)}
	var response minio.ErrorResponse
	if !errors.As(err, &response) {
		e.Err = withoutAddress(a, err)
		e.Advice = c.advice(e)
		if final(e.Err) {
			return e
		}
		return &storage.TemporaryError{Err: e}
	}
	e.Status, e.Code, e.Message, e.Request = response.StatusCode, response.Code, c.Clean(response.Message), c.Clean(response.RequestID)
	e.Err = e.kind()
	if e.Code == "ExpiredToken" {
		c.credentials.Expire() // the next try asks for others
	}
	e.Region = c.Clean(response.Region)
	e.Advice = c.advice(e)
	if e.temporary() {
		return &storage.TemporaryError{Err: e, After: a.retryAfter()}
	}
	return e
}

// withoutAddress is the error below minio-go's, which repeats the address with
// its query.
func withoutAddress(a *Answer, err error) error {
	if failure := a.failure(); failure != nil {
		err = failure
	}
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err
}

// kind is the error that callers ask for with errors.Is.
func (e *Error) kind() error {
	switch {
	case e.Code == minio.NoSuchKey || e.Code == "NoSuchVersion":
		return storage.ErrNotFound
	case e.Status == http.StatusForbidden && strings.Contains(strings.ToLower(e.Message), "object lock"):
		return storage.ErrLocked
	case e.Status == http.StatusForbidden && strings.Contains(e.Message, "WORM"), e.Code == "ObjectLocked":
		return storage.ErrLocked
	case e.Status == http.StatusForbidden && (e.Code == "AccessDenied" || e.Code == "Forbidden" || e.Code == "403 Forbidden"):
		return storage.ErrForbidden // not so for a wrong key or a wrong clock
	case e.Status == http.StatusNotImplemented || e.Code == "NotImplemented":
		return errors.ErrUnsupported
	}
	return nil
}

// temporary tells an answer after which the same request may work: the service
// is busy or broken, or the request was damaged on its way.
func (e *Error) temporary() bool {
	switch e.Code {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestLimitExceeded",
		"RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted", "ConditionalRequestConflict",
		"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody", "ExpiredToken":
		return true
	}
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, 499:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return e.Status >= 500
}

// final tells an error of the connection that no second try mends.
func final(err error) bool {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return NotTLS(err) || errors.Is(err, ErrNoCredentials) || errors.Is(err, storage.ErrChanged) || errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid)
}

// NotTLS tells a service that answered something else.
func NotTLS(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// Clean makes the service's words fit for a log: short, on one line, without
// our secrets, which a service (or who plays it) could repeat.
func (c *Client) Clean(text string) string {
	const longest = 300
	for _, secret := range []string{c.options.SecretKey, c.options.SessionToken} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	if i := strings.IndexByte(text, '?'); i >= 0 && strings.Contains(text[i:], "X-Amz-") {
		text = text[:i]
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

func (c *Client) advice(e *Error) string {
	if c.options.Advise == nil {
		return ""
	}
	return c.options.Advise(e)
}

// Status is the answer's, 0 for other errors.
func Status(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return 0
}

// Code is the answer's, "" for other errors.
func Code(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// Temporary tells an error after which the same call may work.
func Temporary(err error) bool {
	_, ok := errors.AsType[*storage.TemporaryError](err)
	return ok
}

// Unclear tells an error of a write after which the object may be there.
func Unclear(err error) bool {
	switch Code(err) {
	case minio.NoSuchBucket:
		return false
	case minio.NoSuchUpload, minio.PreconditionFailed:
		return true
	}
	switch Status(err) {
	case http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed:
		return true
	}
	return Temporary(err)
}
