package agent

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestPings(t *testing.T) {
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.URL.String())
	}))
	defer server.Close()
	ping := HTTPPinger(server.URL + "/secret-id?x=1")
	for _, what := range []string{pingStart, pingDone, pingFail} {
		if err := ping(t.Context(), what); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"/secret-id/start?x=1", "/secret-id?x=1", "/secret-id/fail?x=1"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestPingErrorsHideTheAddress: whoever knows it can tell lies to the switch.
func TestPingErrorsHideTheAddress(t *testing.T) {
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, address := range []string{refusing.URL + "/secret-id", gone.URL + "/secret-id", "http://[::1/secret-id"} {
		err := HTTPPinger(address)(t.Context(), pingFail)
		if err == nil || strings.Contains(err.Error(), "secret-id") {
			t.Errorf("error %v", err)
		}
	}
}
