package bucket

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Answer is what minio-go does not hand on of the last answer to a call.
type Answer struct {
	mu     sync.Mutex
	status int
	header http.Header
	err    error // why there was none
}

type answerKey struct{}

// recorder writes each answer into the Answer of the request's context.
type recorder struct{ base http.RoundTripper }

func (r recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.base.RoundTrip(request)
	if a, ok := request.Context().Value(answerKey{}).(*Answer); ok {
		a.record(response, err)
	}
	return response, err
}

func (a *Answer) record(response *http.Response, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status, a.header, a.err = 0, nil, err
	if response != nil {
		a.status, a.header = response.StatusCode, response.Header
	}
}

// get is a header of the last answer.
func (a *Answer) get(header string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.header.Get(header)
}

// failure is why the last request had no answer.
func (a *Answer) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Date is when the service answered, by its clock; the zero time if it does not
// say.
func (a *Answer) Date() time.Time {
	t, err := http.ParseTime(a.get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t
}

// retryAfter is what the service asks to wait, in seconds or until a date.
func (a *Answer) retryAfter() time.Duration {
	text := a.get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now := a.Date()
	if now.IsZero() {
		now = time.Now()
	}
	return max(0, until.Sub(now))
}
