package s3

import (
	"context"
	"errors"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// callLimit bounds one try of a call that moves little data. It is long, as a
// service may take minutes to join thousands of parts.
const callLimit = 5 * time.Minute

// try calls f once and explains its error. doing is what is done to the object
// ("list"); the answer is that of f's last request.
func (s *Store) try(ctx context.Context, doing, name string, f func(ctx context.Context) error) (*answer, error) {
	a := &answer{}
	if err := context.Cause(ctx); err != nil {
		return a, err
	}
	err := f(context.WithValue(ctx, answerKey{}, a))
	if err != nil && ctx.Err() != nil {
		return a, context.Cause(ctx)
	}
	return a, s.explain(doing, name, a, err)
}

// retry tries f, which is called with a limited context, until it works or its
// error is final.
func (s *Store) retry(ctx context.Context, doing, name string, f func(ctx context.Context) error) (*answer, error) {
	var a *answer
	err := s.again(ctx, func(ctx context.Context) (err error) {
		a, err = s.try(ctx, doing, name, f)
		return err
	})
	return a, err
}

// again is retry for an f that explains its errors itself.
func (s *Store) again(ctx context.Context, f func(ctx context.Context) error) error {
	return s.options.Backoff.Retry(ctx, func(ctx context.Context) error {
		try, cancel := context.WithTimeoutCause(ctx, callLimit, errSlow)
		defer cancel()
		err := f(try)
		if err != nil && ctx.Err() == nil && errors.Is(err, errSlow) {
			return &storage.TemporaryError{Err: err}
		}
		return err
	})
}

var errSlow = errors.New("no end after " + callLimit.String())
