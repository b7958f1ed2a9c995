package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// measured is what a browser made of a page.
type measured struct {
	Name       string
	Width      int // that it was given
	Needs      int // that it takes
	Background string
	Styled     bool
}

// bench is a page that shows the pages to measure in frames, and then says how
// they turned out.
const bench = `<!doctype html><body>%s<pre id="out"></pre><script>
addEventListener("load", () => {
  const all = [...document.querySelectorAll("iframe")].map(f => {
    const d = f.contentDocument, style = f.contentWindow.getComputedStyle(d.body);
    return {Name: f.name, Width: f.clientWidth, Needs: d.documentElement.scrollWidth, Background: style.backgroundColor, Styled: style.maxWidth != "none"};
  });
  document.getElementById("out").textContent = JSON.stringify(all);
});
</script>`

// TestBrowser has Chromium lay out each state at the width of a phone and of a
// desk, in light and in dark: the style applies under the page's own policy, and
// nothing sticks out.
func TestBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	dbtest.Need(t, "a browser (Debian: chromium)", err)
	mux := http.NewServeMux()
	var frames strings.Builder
	for name, status := range samples() {
		mux.Handle("/"+name+"/", http.StripPrefix("/"+name, frameable(NewHandler(told{status: status}, nil))))
		for _, width := range []int{360, 1280} {
			fmt.Fprintf(&frames, `<iframe name=%q src="/%s/" style="width:%dpx;height:800px;border:0"></iframe>`, name, name, width)
		}
	}
	mux.HandleFunc("/bench", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, bench, frames.String()) })
	address := serveTo(t, mux)

	background := map[string]string{}
	for scheme, flag := range map[string]string{"light": "--blink-settings=preferredColorScheme=1", "dark": "--blink-settings=preferredColorScheme=0"} {
		all := look(t, chromium, flag, "http://"+address+"/bench")
		if len(all) != 2*len(samples()) {
			t.Fatalf("the browser measured %d pages: %+v", len(all), all)
		}
		for _, m := range all {
			if m.Needs > m.Width || !m.Styled {
				t.Errorf("%s: %+v", scheme, m)
			}
			background[scheme] = m.Background
		}
	}
	if background["light"] == background["dark"] {
		t.Errorf("light and dark are both %s", background["dark"])
	}
}

// frameable takes off what keeps a page out of a frame, and nothing else.
func frameable(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(frameableWriter{w}, r)
	})
}

type frameableWriter struct{ http.ResponseWriter }

func (w frameableWriter) Write(p []byte) (int, error) {
	w.Header().Del("X-Frame-Options")
	w.Header().Set("Content-Security-Policy", strings.ReplaceAll(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'", ""))
	return w.ResponseWriter.Write(p)
}

func serveTo(t *testing.T, h http.Handler) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(h)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return l.Addr().String()
}

// look loads a page in a browser of its own and returns what it says in the end.
func look(t *testing.T, chromium, flag, address string) (all []measured) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	browser := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), flag, "--dump-dom", address)
	browser.WaitDelay = time.Second
	out, err := browser.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := regexp.MustCompile(`(?s)<pre id="out">(.*?)</pre>`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("the browser shows %s", out)
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(string(found[1]))), &all); err != nil {
		t.Fatalf("%v: %s", err, found[1])
	}
	return all
}
