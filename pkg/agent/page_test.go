package agent

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
)

// element is an element of a page.
type element struct {
	name  string
	attrs map[string]string
}

// read parses a page as XML, which is stricter than HTML, and returns its
// elements and its text.
func read(t *testing.T, page string) (elements []element, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Entity = xml.HTMLEntity
	var words strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements, words.String()
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{token.Name.Local, map[string]string{}}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			elements = append(elements, e)
		case xml.CharData:
			words.Write(token)
		case xml.Comment, xml.ProcInst:
			t.Errorf("the page holds %s", token)
		}
	}
}

// harmless are all elements of the page, with the attributes that each may have.
var harmless = map[string]string{
	"html": "lang", "head": "", "meta": "charset name content http-equiv", "title": "", "link": "rel href", "style": "", "body": "class",
	"header": "", "main": "", "footer": "", "section": "class aria-label", "h1": "", "h2": "", "p": "class", "span": "class", "strong": "", "pre": "class",
	"ol": "class aria-label", "li": "class aria-current", "progress": "max value", "dl": "class", "div": "", "dt": "", "dd": "", "a": "href",
	"figure": "role aria-label", "svg": "class viewBox preserveAspectRatio aria-hidden", "g": "class", "rect": "class x y width height",
	"table": "", "caption": "", "thead": "", "tbody": "class", "tr": "", "th": "scope class", "td": "class colspan",
}

func TestPage(t *testing.T) {
	for name, status := range samples() {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "unix", NewHandler(told{status: status}, nil))
			elements, text := read(t, s.wants(200, "GET", "/"))
			for _, e := range elements {
				allowed, known := harmless[e.name]
				if !known {
					t.Errorf("the page holds <%s>", e.name)
				}
				for a := range e.attrs {
					if !strings.Contains(" "+allowed+" ", " "+a+" ") {
						t.Errorf("the page holds <%s %s=%q>", e.name, a, e.attrs[a])
					}
				}
				if e.name == "a" && !strings.HasPrefix(e.attrs["href"], "/") {
					t.Errorf("the page links to %s", e.attrs["href"])
				}
			}
			if !strings.Contains(text, status.Instance) || !strings.Contains(text, status.AgentVersion) {
				t.Errorf("the page does not show the instance or the version")
			}
		})
	}
}

func TestPageSaysHowItIs(t *testing.T) {
	for name, wants := range map[string][]string{
		"idle":     {"All is well", "Next backup", "1.3 GB", "5.1 GB of dump", "0 2 * * *", "Europe/Paris", "file:///var/lib/dbacked", "postgresql", "15.18 (Debian"},
		"running":  {"Backing up", "3.4 GB of dump at 41 MB/s, 961 MB stored", "lock", "66 % of the last dump’s size"},
		"failed":   {"The last backup failed", "Trying again in 11 min", "permission denied for table invoices", "GRANT SELECT", "failed in dump"},
		"starting": {"Starting", "Reading the backups in file:///var/lib/dbacked", "not read yet"},
		"none":     {"There is no backup yet", "in 9 h", "none"},
		"away":     {"The backups cannot be read", "is it mounted?"},
		"overdue":  {"A backup is overdue", "one was due at"},
		"stopping": {"Stopping", "until the service starts again"},
		"draining": {"Finishing, then stopping", "The run at hand"},
		"hostile":  {hostile},
		"service":  {"All is well", "the service says that none is due", "https://backups.example.org", "@daily"},
		"asking":   {"The service does not say what is due", "Asking again in 4 min", "Next question", "connection refused"},
		"listed":   {"All is well", "nothing that proves", "1.3 GB", "origin not proved", "its end"},
	} {
		v := render(t, samples()[name])
		for _, want := range wants {
			if !strings.Contains(strings.ReplaceAll(v, "\u00a0", " "), want) {
				t.Errorf("the page of %s does not say %q", name, want)
			}
		}
	}
}

// render is a page's text at the time of the samples.
func render(t *testing.T, s Status) string {
	t.Helper()
	_, text := read(t, renderAll(t, s))
	return text
}

func renderAll(t *testing.T, s Status) string {
	t.Helper()
	l, err := readLayout()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := l.template.Execute(&out, newView(s, sampleNow, l.style)); err != nil {
		t.Fatal(err)
	}
	return strings.Map(shown, out.String())
}

// TestPageTellsOnce: a long error is not shown twice.
func TestPageTellsOnce(t *testing.T) {
	page := render(t, samples()["failed"])
	if n := strings.Count(page, "permission denied for table invoices"); n != 1 {
		t.Errorf("the error is shown %d times", n)
	}
	if strings.Contains(render(t, samples()["none"]), "there is no backup yet") {
		t.Error("the headline is told twice")
	}
}

// TestPolicyFitsTheStyle: a browser uses a style only when its hash is in the
// policy.
func TestPolicyFitsTheStyle(t *testing.T) {
	s := serve(t, "unix", NewHandler(told{status: sampleHostile(sampleIdle())}, nil))
	response, body := s.ask("GET", "/")
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(body)
	if style == nil {
		t.Fatal("there is no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(response.Header.Get("Content-Security-Policy"), want) {
		t.Errorf("%s is not in the policy", want)
	}
}

func TestChart(t *testing.T) {
	for name, status := range samples() {
		c := newView(status, sampleNow, "").Chart
		if len(status.Runs) == 0 {
			if c != nil {
				t.Errorf("%s has a chart", name)
			}
			continue
		}
		runs := 0
		for _, s := range c.Slots {
			if s.Mark != "" {
				runs++
			}
			for _, h := range []int{s.Took, s.Size, s.TookTop, s.SizeTop} {
				if h < 0 || h > barHeight {
					t.Errorf("%s: a bar leaves the chart: %+v", name, s)
				}
			}
		}
		if runs != len(status.Runs) || len(c.Slots) != maxRuns {
			t.Errorf("%s: %d bars for %d runs in %d slots", name, runs, len(status.Runs), len(c.Slots))
		}
	}
	c := newView(samples()["idle"], sampleNow, "").Chart
	if failed := c.Slots[maxRuns-1-4]; failed.Mark != "bad" || failed.Size != 0 || failed.Took != barHeight {
		t.Errorf("the failed run is %+v", failed)
	}
	if newest := c.Slots[maxRuns-1]; newest.Mark != "good" || newest.Size != barHeight || !strings.Contains(newest.Title, "1.3 GB stored") {
		t.Errorf("the newest run is %+v", newest)
	}
	if want := "The last 30 runs, 1 of them failed"; !strings.HasPrefix(c.Summary, want) {
		t.Errorf("%q", c.Summary)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0 s", 0: "0 s", 312 * time.Millisecond: "0.3 s", 9949 * time.Millisecond: "9.9 s", 12 * time.Second: "12 s",
		59600 * time.Millisecond: "1 min", time.Minute: "1 min", 124 * time.Second: "2 min 4 s", 3599*time.Second + 700*time.Millisecond: "1 h",
		90 * time.Minute: "1 h 30 min", 49 * time.Hour: "49 h",
	} {
		if got := strings.ReplaceAll(span(d), "\u00a0", " "); got != want {
			t.Errorf("%s is %q instead of %q", d, got, want)
		}
	}
}

// TestZone shows times in the zone of the schedule.
func TestZone(t *testing.T) {
	s := sampleIdle()
	for zone, want := range map[string]string{"Europe/Paris": "Wed 25 Nov, 02:00", "UTC": "Wed 25 Nov, 01:00", "Australia/Lord_Howe": "Wed 25 Nov, 12:00"} {
		s.Timezone = zone
		if page := render(t, s); !strings.Contains(page, want) {
			t.Errorf("in %s, %q is not shown", zone, want)
		}
	}
}
