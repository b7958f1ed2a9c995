package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/storage"
)

// understand decodes the service's answer to what it was asked.
func (c *Client) understand(what string, got *http.Response, answer any) error {
	text, err := io.ReadAll(io.LimitReader(got.Body, largestAnswer+1))
	switch {
	case err != nil:
		return &storage.TemporaryError{Err: fmt.Errorf("%s %s: the answer broke off: %w", what, c, stripped(err))}
	case len(text) > largestAnswer:
		return fmt.Errorf("%s %s: the answer has more than %d bytes", what, c, largestAnswer)
	case got.StatusCode < 200 || got.StatusCode > 299:
		err := foreign(got, text)
		if err == nil {
			err = meaning(got.StatusCode, text)
		}
		return fmt.Errorf("%s %s: %w", what, c, err)
	case answer == nil || len(bytes.TrimSpace(text)) == 0:
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s %s: %w: its answer is not the JSON that was expected", what, c, ErrNoService)
	}
	return nil
}

// foreign is the error of an answer that no service gives, but a web server, or a
// proxy that leads elsewhere.
func foreign(got *http.Response, text []byte) error {
	var p api.Problem
	switch status := got.StatusCode; {
	case json.Unmarshal(text, &p) == nil && p.Message != "":
		return nil
	case status == http.StatusUnauthorized, status == http.StatusTooManyRequests, status >= 500 && status != http.StatusNotImplemented:
		return nil // of a proxy that may have the service behind it
	}
	return fmt.Errorf("%w: it answers %d%s", ErrNoService, got.StatusCode, elsewhere(got))
}

// meaning is the error that an answer is.
func meaning(status int, text []byte) error {
	p := &api.Problem{}
	if json.Unmarshal(text, p) != nil || p.Message == "" {
		p.Message = http.StatusText(status)
	}
	p.Status = status
	also := func(err error) error { return fmt.Errorf("%w: %w", err, p) }
	switch {
	case p.Message == api.NoBackupNeeded || p.Code == api.CodeNotDue:
		return also(ErrNotDue)
	case p.Code == api.CodeNoCall:
		return also(ErrNoService)
	case p.Code == api.CodeLost:
		return also(ErrLost)
	case p.Code == api.CodeConflict:
		return also(storage.ErrExists)
	case status == http.StatusUnauthorized:
		return also(ErrKey)
	case status == http.StatusForbidden:
		return also(storage.ErrForbidden)
	case status == http.StatusNotFound, status == http.StatusGone:
		return also(storage.ErrNotFound)
	case status >= 500 || status == http.StatusTooManyRequests:
		return &storage.TemporaryError{Err: p}
	}
	return p
}

// elsewhere is where an answer redirects to, without what may be secret in that.
func elsewhere(got *http.Response) string {
	to, err := got.Location()
	if err != nil {
		return " " + http.StatusText(got.StatusCode)
	}
	return fmt.Sprintf(" and says that it is at %s://%s", to.Scheme, to.Host)
}

// stripped is an error without the address in it, whose query is a signature.
func stripped(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
