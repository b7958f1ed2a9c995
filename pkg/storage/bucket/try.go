package bucket

import (
	"context"
	"errors"
	"fmt"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Try calls f once and explains its error. doing is what is done to the object
// ("list"); the answer is that of f's last request.
func (c *Client) Try(ctx context.Context, doing, name string, f func(ctx context.Context) error) (*Answer, error) {
	a := &Answer{}
	if err := context.Cause(ctx); err != nil {
		return a, err
	}
	err := f(context.WithValue(ctx, answerKey{}, a))
	if err != nil && ctx.Err() != nil {
		return a, context.Cause(ctx)
	}
	return a, c.Explain(doing, name, a, err)
}

// Retry tries f, which is called with a limited context, until it works or its
// error is final.
func (c *Client) Retry(ctx context.Context, doing, name string, f func(ctx context.Context) error) (*Answer, error) {
	var a *Answer
	err := c.Again(ctx, func(ctx context.Context) (err error) {
		a, err = c.Try(ctx, doing, name, f)
		return err
	})
	return a, err
}

// Again is Retry for an f that explains its errors itself.
func (c *Client) Again(ctx context.Context, f func(ctx context.Context) error) error {
	return c.options.Backoff.Retry(ctx, func(ctx context.Context) error {
		try, cancel := context.WithTimeoutCause(ctx, c.options.Call, fmt.Errorf("%w after %v", errSlow, c.options.Call))
		defer cancel()
		err := f(try)
		if err != nil && ctx.Err() == nil && errors.Is(err, errSlow) {
			return &storage.TemporaryError{Err: err}
		}
		return err
	})
}

var errSlow = errors.New("no end")
