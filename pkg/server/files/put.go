package files

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/api"
)

// pace is how many bytes must come before a client gets more time.
const pace = 64 << 10

var errOver = problem(http.StatusConflict, "the file is complete, and this part of it is another")

// put takes a part. Its error is an *api.Problem where the client may know it.
func (f *Folder) put(w http.ResponseWriter, r *http.Request, a address) error {
	part, err := f.announced(r, a)
	if err != nil {
		return err
	}
	if err := allow(r.Context(), f.options.Allowed, a.ref, part); err != nil {
		return err
	}
	m, err := f.manifest(a.ref)
	switch {
	case err == nil && !m.has(a.part, tagOf(a.md5)):
		return errOver
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	}
	again, err := f.take(w, r, a, &part, err == nil)
	if err != nil {
		return err
	}
	if !again {
		if err := f.tell(r.Context(), a.ref, part); err != nil {
			return err
		}
	}
	w.Header().Set("ETag", part.ETag)
	w.WriteHeader(http.StatusOK)
	return nil
}

// announced checks what can be told before the body is read.
func (f *Folder) announced(r *http.Request, a address) (Part, error) {
	sum, err := base64.RawURLEncoding.DecodeString(a.md5)
	if err != nil {
		return Part{}, problem(http.StatusForbidden, errAltered.Error())
	}
	part := Part{Number: a.part, MD5: base64.StdEncoding.EncodeToString(sum), Size: max(a.size, 0)}
	sent := r.Header.Values("Content-MD5")
	switch {
	case len(sent) != 1 || sent[0] != part.MD5:
		return part, problem(http.StatusForbidden, "Content-MD5 must be the one that the address was made for")
	case r.ContentLength > f.limit(a):
		return part, tooLong(f.limit(a))
	case a.size >= 0 && r.ContentLength >= 0 && r.ContentLength < a.size:
		return part, tooShort(r.ContentLength, a.size)
	}
	return part, nil
}

// limit is how many bytes the body may have.
func (f *Folder) limit(a address) int64 {
	if a.size >= 0 {
		return min(a.size, f.options.MaxPart)
	}
	return f.options.MaxPart
}

func tooLong(limit int64) error {
	return problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the part may have %d bytes, and the body has more", limit))
}

func tooShort(n, size int64) error {
	return problem(http.StatusBadRequest, fmt.Sprintf("the body has %d bytes instead of %d", n, size))
}

func allow(ctx context.Context, allowed func(context.Context, Ref, Part) error, r Ref, p Part) error {
	if allowed == nil {
		return nil
	}
	err := allowed(ctx, r, p)
	var known *api.Problem
	if err == nil || errors.As(err, &known) {
		return err
	}
	return problem(http.StatusConflict, err.Error())
}

func (f *Folder) tell(ctx context.Context, r Ref, p Part) error {
	if f.options.Stored == nil {
		return nil
	}
	err := f.options.Stored(ctx, r, p)
	var known *api.Problem
	if err == nil || errors.As(err, &known) {
		return err
	}
	f.options.Log.Error("a part could not be noted", zap.Stringer("file", r), zap.Int("part", p.Number), zap.Error(err))
	return problem(http.StatusServiceUnavailable, "the part is stored but could not be noted: put it again")
}

// take reads the body and makes a part of it; of a file that is complete it only
// checks that it is the same, and says so.
func (f *Folder) take(w http.ResponseWriter, r *http.Request, a address, part *Part, complete bool) (again bool, err error) {
	to := io.Discard
	var file *os.File
	var temp string
	if !complete {
		var discard func()
		if file, temp, discard, err = f.temp(); err != nil {
			return false, err
		}
		defer discard()
		to = file
	}
	sum, err := f.receive(w, r, a, part, to)
	if err != nil {
		return false, err
	}
	part.ETag = quoted(sum)
	if complete {
		return true, nil
	}
	if err := file.Sync(); err != nil {
		return false, err
	}
	return f.publish(r.Context(), a, *part, temp)
}

// receive copies the body, and checks it.
func (f *Folder) receive(w http.ResponseWriter, r *http.Request, a address, part *Part, to io.Writer) (sum string, err error) {
	hash := md5.New()
	limit := f.limit(a)
	body := &slowReader{r: io.LimitReader(r.Body, limit+1), controller: http.NewResponseController(w), limit: f.options.StallTimeout}
	n, err := io.CopyBuffer(io.MultiWriter(to, hash), body, make([]byte, pace))
	var broken *bodyError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "", problem(http.StatusRequestTimeout, fmt.Sprintf("the body stalled for %v", f.options.StallTimeout))
	case errors.As(err, &broken):
		return "", problem(http.StatusBadRequest, "the body broke off")
	case err != nil:
		return "", err
	case n > limit:
		return "", tooLong(limit)
	case a.size >= 0 && n != a.size:
		return "", tooShort(n, a.size)
	}
	// What follows may take longer than a client may.
	if err := body.controller.SetReadDeadline(time.Time{}); err != nil {
		return "", err
	}
	part.Size = n
	sum = hex.EncodeToString(hash.Sum(nil))
	if sum != tagOf(a.md5) {
		return "", problem(http.StatusBadRequest, "the body's MD5 is another than Content-MD5 says")
	}
	return sum, nil
}

// publish makes a part of what was received, unless the file was completed meanwhile,
// or takes no part any more: who removes a file forbids that first, and then waits for
// the lock. So nothing comes after it.
func (f *Folder) publish(ctx context.Context, a address, part Part, temp string) (again bool, err error) {
	unlock, err := f.lock(a.ref, true)
	if err != nil {
		return false, err
	}
	defer unlock()
	sum := tagOf(a.md5)
	m, err := f.manifest(a.ref)
	switch {
	case err == nil && m.has(a.part, sum):
		return true, nil
	case err == nil:
		return false, errOver
	case !errors.Is(err, ErrNotFound):
		return false, err
	}
	if err := allow(ctx, f.options.Allowed, a.ref, part); err != nil {
		f.removeEmpty(a.ref)
		return false, err
	}
	if err := f.root.Rename(temp, partPath(a.ref, a.part, sum)); err != nil {
		return false, err
	}
	number := partName(a.part, "")
	f.sweep(a.ref, func(name string) bool { return strings.HasPrefix(name, number) && name != number+sum })
	return false, f.syncFolders(a.ref.String())
}

// slowReader gives up on a client that sends nothing, or hardly anything.
type slowReader struct {
	r          io.Reader
	controller *http.ResponseController
	limit      time.Duration
	left       int // bytes until the client gets more time
}

// bodyError is one of the client's making.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

func (s *slowReader) Read(p []byte) (int, error) {
	if s.left <= 0 {
		s.left = pace
		if err := s.controller.SetReadDeadline(time.Now().Add(s.limit)); err != nil {
			return 0, fmt.Errorf("the end of a stalled body cannot be set: %w", err)
		}
	}
	n, err := s.r.Read(p)
	s.left -= n
	if err != nil && err != io.EOF {
		err = &bodyError{err}
	}
	return n, err
}
