// Package client speaks to the DBacked service, as package api describes it.
//
//	c, err := client.New(client.Options{URL: "https://backups.example.org", Key: key, AgentID: id})
//	run, err := c.Ask(ctx)      // is a backup due? then it is ours, under a lease
//	store := c.Store(run)       // a storage.Store: what is put there is of that backup
//	…
//	run.End(nil)                // or what went wrong
//
// A service of 2018 keeps one file a backup and no manifest. To such a one only what it
// knows is said: [Run.Old] tells it, [Client.OneFile] writes there, and [Client.Download]
// reads, by the list in [api.Project].
//
// Calls are tried again after a dropped connection, answers of 5xx, and requests to
// slow down; all of them can be repeated. Addresses of parts and downloads are
// signed: none is in an error.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/storage"
)

// Errors of the service, wrapped or not. An *api.Problem is in the chain too.
var (
	// ErrNotDue says that no backup is due, or that another agent makes it.
	ErrNotDue = errors.New("no backup is due")
	// ErrLost says that the backup was given to another agent, or is over.
	ErrLost = errors.New("the backup is not this agent's any more")
	// ErrNoService says that who answers is no DBacked service, or has it below another
	// address.
	ErrNoService = errors.New("this is not the address of a DBacked service: see DBACKED_API_URL")
	// ErrKey says that the service does not know the key.
	ErrKey = errors.New("the service does not know the key: see DBACKED_APIKEY")
)

// Options says who speaks to which service. URL, Key and AgentID are needed.
type Options struct {
	URL     string // "" is api.DefaultURL
	Key     string
	AgentID string
	Version string // of the agent
	DBType  string // pg or mysql

	// Tries is how often a call is sent; 0 means 6. Until the service has answered once
	// it is three times at most: a wrong address is likelier than a hiccup. Wait is the first pause between
	// two, which doubles up to a minute; 0 means half a second.
	Tries int
	Wait  time.Duration
	// Timeout bounds one try of a call, but not of a part or a download; 0 means a
	// minute.
	Timeout time.Duration
	// Stall is the longest time without a byte of a part or a download; 0 means 2
	// minutes.
	Stall time.Duration
}

const (
	defaultTries   = 6
	firstTries     = 3
	defaultWait    = 500 * time.Millisecond
	longestWait    = time.Minute
	longestAsked   = 5 * time.Minute
	defaultTimeout = time.Minute
	defaultStall   = 2 * time.Minute

	// largestAnswer bounds what the service may say.
	largestAnswer = 64 << 20
)

// Client speaks to one service, with one key. Its methods may be called from
// several goroutines.
type Client struct {
	options Options
	calls   *retryablehttp.Client
	first   *retryablehttp.Client // until the service has answered, and for questions that are asked again
	met     atomic.Bool           // it has
	kind    atomic.Int32          // what it can, as Project said last

	mu      sync.Mutex
	request string       // the id of a question that got no answer
	bytes   *http.Client // of parts and downloads; tried again by who knows how
}

// New makes a client. It sends nothing.
func New(o Options) (*Client, error) {
	if o.URL == "" {
		o.URL = api.DefaultURL
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("the service's URL is no https://host: see DBACKED_API_URL")
	}
	if o.Key == "" || strings.ContainsAny(o.Key, " \r\n") {
		return nil, errors.New("the service's key is missing, or holds a blank: see DBACKED_APIKEY")
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	if o.Tries <= 0 {
		o.Tries = defaultTries
	}
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Stall <= 0 {
		o.Stall = defaultStall
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 8
	transport.ResponseHeaderTimeout = o.Stall
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	plain := &http.Client{Transport: transport, Timeout: o.Timeout, CheckRedirect: noRedirect}
	return &Client{
		options: o, calls: retrying(plain, o.Tries, o.Wait), first: retrying(plain, min(o.Tries, firstTries), o.Wait),
		bytes: &http.Client{Transport: transport, CheckRedirect: noRedirect},
	}, nil
}

// retrying tries calls again.
func retrying(plain *http.Client, tries int, wait time.Duration) *retryablehttp.Client {
	calls := retryablehttp.NewClient()
	calls.HTTPClient = plain
	calls.Logger = nil // it would print addresses whole
	calls.RetryMax, calls.RetryWaitMin, calls.RetryWaitMax = tries-1, wait, max(wait, longestWait)
	calls.Backoff = backoff
	calls.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return calls
}

// backoff is how long to wait after a try, from 0: twice as long each time, at random
// between half of that and all of it, or as long as the service asks.
func backoff(least, most time.Duration, try int, got *http.Response) time.Duration {
	wait := retryablehttp.DefaultBackoff(least, most, try, got)
	if got != nil && got.Header.Get("Retry-After") != "" {
		return min(wait, longestAsked)
	}
	return wait/2 + rand.N(wait/2+1)
}

// Close lets go of idle connections. The client can be used on.
func (c *Client) Close() error {
	c.bytes.CloseIdleConnections()
	return nil
}

// String names the service for people.
func (c *Client) String() string { return c.options.URL }

// Project asks what the key is for.
func (c *Client) Project(ctx context.Context) (p api.Project, err error) {
	err = c.call(ctx, "ask for the project of", http.MethodGet, "/projects/own", nil, &p)
	if err == nil && p.Old() {
		c.kind.Store(kindOld)
	} else if err == nil {
		c.kind.Store(kindNew)
	}
	return p, err
}

// Old says whether the service was an old one when Project, or Ask, heard of it last.
func (c *Client) Old() bool { return c.kind.Load() == kindOld }

// What a service can.
const (
	kindUnknown = iota
	kindOld     // only what package api says of 2018
	kindNew
)

// call says something to the service, and decodes its answer.
func (c *Client) call(ctx context.Context, what, method, path string, body, answer any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := retryablehttp.NewRequestWithContext(ctx, method, c.options.URL+path, text)
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, c, stripped(err))
	}
	r.Header.Set("Authorization", api.AuthScheme+" "+c.options.Key)
	r.Header.Set("User-Agent", "dbacked/"+c.options.Version)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	got, err := c.patience(path).Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &storage.TemporaryError{Err: fmt.Errorf("%s %s: %w", what, c, stripped(err))}
	}
	defer got.Body.Close()
	c.met.Store(true)
	return c.understand(what, got, answer)
}

// patience is how often a call is tried.
func (c *Client) patience(path string) *retryablehttp.Client {
	if c.met.Load() && path != pathAsk {
		return c.calls
	}
	return c.first
}
