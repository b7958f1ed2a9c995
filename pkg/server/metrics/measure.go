package metrics

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// Measure counts the calls that next answers, by the pattern that an http.ServeMux
// found for each: there are as many as there are routes.
func (m *Metrics) Measure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		o := &observed{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(o, r)
		route := r.Pattern
		if route == "" {
			route = "none"
		}
		m.calls.WithLabelValues(route, strconv.Itoa(o.status/100)+"xx").Inc()
		m.duration.WithLabelValues(route).Observe(time.Since(began).Seconds())
	})
}

// observed notes the status of an answer, and is otherwise the writer that it has:
// deadlines are set, and files are sent, as without it.
type observed struct {
	http.ResponseWriter
	status int
	begun  bool
}

// WriteHeader notes the first status that is not a hint of another.
func (o *observed) WriteHeader(status int) {
	if !o.begun && status >= http.StatusOK {
		o.status, o.begun = status, true
	}
	o.ResponseWriter.WriteHeader(status)
}

// Write is that of the writer.
func (o *observed) Write(p []byte) (int, error) {
	o.begun = true
	return o.ResponseWriter.Write(p)
}

// ReadFrom lets the writer send a file without reading it.
func (o *observed) ReadFrom(r io.Reader) (int64, error) {
	o.begun = true
	return io.Copy(o.ResponseWriter, r)
}

// Unwrap is for http.ResponseController.
func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }
