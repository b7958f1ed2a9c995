package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"go.uber.org/zap"
)

// What a dead man's switch is told.
const (
	pingStart = "start"
	pingDone  = ""
	pingFail  = "fail"
)

// pingLimit bounds one message, with its retries.
const pingLimit = 20 * time.Second

// Pinger tells a dead man's switch how a run goes: "start", "" (proved) or
// "fail".
type Pinger func(ctx context.Context, what string) error

// HTTPPinger sends GET requests: to address/start when a run begins, to address
// when it was proved, and to address/fail when it failed. Its errors do not tell
// the address, which is a secret.
func HTTPPinger(address string) Pinger {
	client := retryablehttp.NewClient()
	client.Logger = nil // it prints addresses
	client.RetryMax = 2
	client.RetryWaitMax = 5 * time.Second
	client.HTTPClient.Timeout = 10 * time.Second
	return func(ctx context.Context, what string) error {
		u, err := url.Parse(address)
		if err != nil {
			return errors.New("its address is not a URL")
		}
		if what != "" {
			u = u.JoinPath(what)
		}
		request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return errors.New("its address is not a URL")
		}
		response, err := client.Do(request)
		if err != nil {
			return withoutAddress(err)
		}
		defer response.Body.Close()
		if response.StatusCode/100 != 2 {
			return fmt.Errorf("it answers %s", response.Status)
		}
		return nil
	}
}

// withoutAddress returns the cause of a failed request.
func withoutAddress(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return errors.New("it cannot be reached")
}

// ping tells the switch. Whatever comes of it, the run goes on.
func (a *Agent) ping(ctx context.Context, what string) {
	if a.options.Ping == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingLimit)
	defer cancel()
	if err := a.options.Ping(ctx, what); err != nil {
		a.options.Log.Warn("the dead man's switch (DBACKED_PING_URL) was not reached", zap.String("event", "ping-failed"), zap.Error(err))
	}
}
