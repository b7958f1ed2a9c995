package files

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/minio/minio-go/v7"
)

// temporary wraps an error after which the same call may work.
type temporary struct{ err error }

func (t *temporary) Error() string { return t.err.Error() }
func (t *temporary) Unwrap() error { return t.err }

// retry calls f until it works, its error is final, or the tries are used up.
func (b *Bucket) retry(ctx context.Context, doing string, r Ref, f func(ctx context.Context) error) error {
	pause := b.options.Pause
	for try := 1; ; try++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		call, cancel := context.WithTimeout(ctx, b.options.Call)
		err := f(call)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case try >= b.options.Tries || !mayWork(err):
			return b.explain(doing, r, err)
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2+1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
		pause *= 2
	}
}

// mayWork tells an error after which the same call may work.
func mayWork(err error) bool {
	var t *temporary
	var response minio.ErrorResponse
	switch {
	case errors.As(err, &t):
		return true
	case errors.Is(err, ErrParts), errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		return false
	case !errors.As(err, &response):
		return noAnswer(err)
	}
	switch response.Code {
	case "SlowDown", "Throttling", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted", "ConditionalRequestConflict", "BadDigest", "IncompleteBody", "ExpiredToken":
		return true
	case "NotImplemented":
		return false
	}
	return response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusRequestTimeout
}

// noAnswer tells an error of the connection.
func noAnswer(err error) bool {
	var u *url.Error
	return errors.As(err, &u) || errors.Is(err, context.DeadlineExceeded)
}

// unclear tells an error of a write after which the object may be there.
func unclear(err error) bool {
	response := minio.ToErrorResponse(err)
	switch {
	case errors.Is(err, ErrParts): // a service may say so of a file that is complete
		return true
	case response.Code == minio.NoSuchBucket:
		return false
	case response.Code == minio.NoSuchUpload || response.Code == minio.PreconditionFailed:
		return true
	}
	switch response.StatusCode {
	case http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed:
		return true
	}
	return mayWork(err)
}

// badParts tells a Complete that the service refused for its parts.
func badParts(err error) bool {
	if err == nil {
		return false
	}
	switch minio.ToErrorResponse(err).Code {
	case "InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML":
		return true
	}
	return false
}

func missing(err error) bool {
	if err == nil {
		return false
	}
	switch response := minio.ToErrorResponse(err); response.Code {
	case minio.NoSuchBucket:
		return false
	case minio.NoSuchKey, minio.NoSuchUpload:
		return true
	default:
		return response.StatusCode == http.StatusNotFound
	}
}

// explain says what failed on what, without the query of an address.
func (b *Bucket) explain(doing string, r Ref, err error) error {
	where := fmt.Sprintf("%s s3://%s/%s", doing, b.options.Bucket, b.key(r))
	var response minio.ErrorResponse
	var u *url.Error
	switch {
	case errors.Is(err, ErrParts), errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		return fmt.Errorf("%s: %w", where, err)
	case errors.As(err, &response):
		text := fmt.Sprintf("%s: the service answered %d %s", where, response.StatusCode, clean(response.Code))
		if response.Message != "" {
			text += " (" + clean(response.Message) + ")"
		}
		return errors.New(text)
	}
	for errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("%s: %w", where, err)
}

// clean makes a service's words fit for a log.
func clean(text string) string {
	text, _, _ = strings.Cut(text, "?")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
	return text[:min(len(text), 300)]
}
