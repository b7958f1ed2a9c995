package files

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

func TestFile(t *testing.T) {
	both(t, func(t *testing.T, b *bed) {
		upload, parts, data := b.three(t, one)
		b.put(t, one, upload, 2, random(9, b.least)) // replaced, and again as it was
		parts[1] = b.put(t, one, upload, 2, data[b.least:2*b.least])
		if a := b.get(t, one); a.status != 404 {
			t.Errorf("before it is complete: %d", a.status)
		}
		stored := b.complete(t, one, upload, parts)
		if stored.Size != int64(len(data)) || !strings.HasSuffix(stored.ETag, `-3"`) || stored.ETag[0] != '"' || time.Since(stored.Modified) > time.Minute {
			t.Errorf("stored %+v", stored)
		}
		if again := b.complete(t, one, upload, parts); again != stored {
			t.Errorf("again: %+v, at first %+v", again, stored)
		}
		a := b.get(t, one)
		if a.status != 200 || !bytes.Equal(a.body, data) || a.header.Get("ETag") != stored.ETag || a.header.Get("Last-Modified") == "" {
			t.Errorf("downloaded %d bytes, %d %v", len(a.body), a.status, a.header)
		}
		for _, r := range [][2]int{{0, 1}, {b.least - 1, b.least + 1}, {b.least, 2 * b.least}, {5, len(data)}, {2*b.least + 70, len(data)}} {
			a := b.get(t, one, "Range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]-1), "If-Match", stored.ETag)
			if a.status != 206 || !bytes.Equal(a.body, data[r[0]:r[1]]) {
				t.Errorf("range %v: %d, %d bytes", r, a.status, len(a.body))
			}
		}
		b.get(t, one, "If-Match", `"other"`).is(t, b, 412)
		b.get(t, one, "Range", fmt.Sprintf("bytes=%d-", len(data))).is(t, b, 416)
		if b.folder != nil {
			if a := b.get(t, one, "Range", "bytes=5-", "If-Range", `"other"`); a.status != 200 {
				t.Errorf("If-Range of another: %d", a.status)
			}
			if a := b.get(t, one, "Range", "bytes=5-", "If-Range", stored.ETag); a.status != 206 {
				t.Errorf("If-Range: %d", a.status)
			}
		}
		for range 2 {
			if err := b.Remove(t.Context(), one, upload); err != nil {
				t.Fatal(err)
			}
		}
		b.get(t, one).is(t, b, 404)
	})
}

func TestComplete(t *testing.T) {
	both(t, func(t *testing.T, b *bed) {
		upload, parts, data := b.three(t, one)
		wrong := slices.Clone(parts)
		wrong[1].ETag, wrong[1].MD5 = parts[0].ETag, parts[0].MD5
		swapped := []Part{parts[1], parts[0], parts[2]}
		relabelled := slices.Clone(swapped)
		relabelled[0].Number, relabelled[1].Number = 1, 2
		more := append(slices.Clone(parts), Part{Number: 4, ETag: parts[0].ETag})
		for name, list := range map[string][]Part{
			"none": nil, "wrong ETag": wrong, "order": swapped, "relabelled": relabelled, "more": more,
			"hole": {parts[0], parts[2]}, "path": {{Number: 1, ETag: `"../../../etc/passwd"`}}, "no ETag": {{Number: 1}},
		} {
			if _, err := b.Complete(t.Context(), one, upload, list); !errors.Is(err, ErrParts) {
				t.Errorf("%s: %v", name, err)
			}
		}
		stored := make([]Stored, 8)
		errs := make([]error, 8)
		var group sync.WaitGroup
		for i := range stored {
			group.Go(func() { stored[i], errs[i] = b.Complete(t.Context(), one, upload, parts) })
		}
		group.Wait()
		for i := range stored {
			if errs[i] != nil || stored[i] != stored[0] {
				t.Errorf("raced: %+v, %v", stored[i], errs[i])
			}
		}
		if _, err := b.Complete(t.Context(), one, upload, parts[:2]); !errors.Is(err, ErrConflict) {
			t.Errorf("fewer parts: %v", err)
		}
		other := random(3, 1000) // small: the service answers before it has read it all
		p := Part{Number: 1, MD5: sum(other), Size: int64(len(other))}
		b.do(t, http.MethodPut, b.partURL(t, one, upload, p), bytes.NewReader(other), "Content-MD5", p.MD5).is(t, b, 409)
		if b.folder != nil {
			b.put(t, one, upload, 1, data[:b.least]) // the same is fine
			p.Number = 4
			b.do(t, http.MethodPut, b.partURL(t, one, upload, p), bytes.NewReader(other), "Content-MD5", p.MD5).is(t, b, 409)
		}
		if a := b.get(t, one); !bytes.Equal(a.body, data) {
			t.Error("the file changed")
		}
	})
}

func TestSmall(t *testing.T) {
	both(t, func(t *testing.T, b *bed) {
		first, err := b.Put(t.Context(), one, []byte("manifest"))
		if err != nil || first.Size != 8 || first.ETag != hexTag([]byte("manifest")) {
			t.Fatalf("%+v, %v", first, err)
		}
		if again, err := b.Put(t.Context(), one, []byte("manifest")); err != nil || again != first {
			t.Errorf("again: %+v, %v", again, err)
		}
		if _, err := b.Put(t.Context(), one, []byte("another1")); !errors.Is(err, ErrConflict) {
			t.Errorf("another: %v", err)
		}
		if data, err := b.Read(t.Context(), one, 100); err != nil || string(data) != "manifest" {
			t.Errorf("%q, %v", data, err)
		}
		if _, err := b.Read(t.Context(), one, 7); err == nil {
			t.Error("more than the limit was read")
		}
		ten := Ref{one.Project, one.Backup, 10}
		if _, err := b.Read(t.Context(), ten, 7); !errors.Is(err, ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		upload := b.begin(t, ten) // a file of one part without a byte
		p := b.put(t, ten, upload, 1, nil)
		if s := b.complete(t, ten, upload, []Part{p}); s.Size != 0 {
			t.Errorf("%+v", s)
		}
		if a := b.get(t, ten); a.status != 200 || len(a.body) != 0 {
			t.Errorf("empty: %d, %q", a.status, a.body)
		}
		if err := b.Remove(t.Context(), one, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Read(t.Context(), ten, 7); err != nil {
			t.Errorf("another file went too: %v", err)
		}
	})
}

func TestRefusedParts(t *testing.T) {
	both(t, func(t *testing.T, b *bed) {
		upload, data := b.begin(t, one), random(1, 5000)
		p := Part{Number: 1, MD5: sum(data), Size: 5000}
		u := b.partURL(t, one, upload, p)
		put := func(u string, data []byte, headers ...string) answer {
			return b.do(t, http.MethodPut, u, bytes.NewReader(data), headers...)
		}
		flipped := slices.Clone(data)
		flipped[7] ^= 1
		put(u, data).is(t, b, 403)
		put(u, data, "Content-MD5", sum(flipped)).is(t, b, 403)
		put(u, flipped, "Content-MD5", p.MD5).is(t, b, 400)
		put(u, data[:4999], "Content-MD5", p.MD5).is(t, b, 400)
		put(u, append(slices.Clone(data), 1), "Content-MD5", p.MD5).is(t, b, 413)
		b.do(t, http.MethodGet, u, nil, "Content-MD5", p.MD5).is(t, b, 405)
		for name, altered := range alter(t, u) {
			if a := put(altered, data, "Content-MD5", p.MD5); a.status < 400 || a.status >= 500 {
				t.Errorf("%s altered: %d", name, a.status)
			} else if b.folder != nil && a.status != 403 && a.status != 404 {
				t.Errorf("%s altered: %d %s", name, a.status, a.body)
			}
		}
		if _, err := b.Complete(t.Context(), one, upload, []Part{{Number: 1, MD5: p.MD5, ETag: hexTag(data)}}); !errors.Is(err, ErrParts) {
			t.Errorf("something was stored: %v", err)
		}
		for _, r := range []Ref{{"..", "b", 1}, {"a", "../b", 1}, {"a", "b/c", 1}, {"", "b", 1}, {"a", ".tmp", 1}, {"a", "b", -1}, {"a", "b\x00", 1}, {"a\\b", "c", 1}, {strings.Repeat("a", 65), "b", 1}} {
			_, e1 := b.PartURL(t.Context(), b.base, r, "u", p, time.Hour)
			_, e2 := b.Complete(t.Context(), r, "u", []Part{p})
			_, e3 := b.Put(t.Context(), r, data)
			_, e4 := b.Read(t.Context(), r, 10)
			_, e5 := b.DownloadURL(t.Context(), b.base, r, time.Hour)
			_, e6 := b.Begin(t.Context(), r)
			for i, err := range []error{e1, e2, e3, e4, e5, e6, b.Remove(t.Context(), r, "u")} {
				if err == nil {
					t.Errorf("call %d took %q", i, r)
				}
			}
		}
	})
}

func hexTag(p []byte) string {
	return quoted(tagOf(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(sum(p))))
}

// alter changes each thing that an address says.
func alter(t *testing.T, text string) map[string]string {
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	altered := make(map[string]string)
	for name, values := range u.Query() {
		q := u.Query()
		v := []byte(values[0])
		i := max(0, len(v)-2)
		if v[i]++; v[i] > 'z' || v[i] == ':' {
			v[i] = '1'
		}
		q.Set(name, string(v))
		altered[name] = strings.Split(text, "?")[0] + "?" + q.Encode()
		q.Del(name)
		altered["no "+name] = strings.Split(text, "?")[0] + "?" + q.Encode()
	}
	altered["file"] = strings.Replace(text, one.Backup+"/1", one.Backup+"/2", 1)
	altered["backup"] = strings.Replace(text, one.Backup, "20261122T215643Z-7f3c2b", 1)
	altered["project"] = strings.Replace(text, one.Project, "project-2", 1)
	altered["part"] = strings.Replace(text, "/parts/1?", "/parts/2?", 1)
	for name, a := range altered {
		if a == text {
			delete(altered, name) // S3 has no such thing in its path
		}
	}
	return altered
}

// TestLostAnswers loses the answers of the calls that change something.
func TestLostAnswers(t *testing.T) {
	server := dbtest.S3(t)
	faults := map[string]dbtest.Fault{
		"lost": {LoseAnswer: true}, "500": {Status: 500, Code: "InternalError"}, "reset": {Reset: true},
		"409": {Status: 409, Code: "ConditionalRequestConflict"}, "412": {Status: 412, Code: "PreconditionFailed"},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			proxy := dbtest.NewFaultProxy(t, server.Host, func(*http.Request) dbtest.Fault { return dbtest.Fault{} })
			b := bucketBed(t, server, "lost"+name, proxy.Endpoint)
			upload, parts, data := b.three(t, one)
			left := 2
			fail := func(r *http.Request) dbtest.Fault {
				if left == 0 || r.Method == http.MethodHead {
					return dbtest.Fault{}
				}
				left--
				return fault
			}
			proxy.SetPlan(fail)
			if s := b.complete(t, one, upload, parts); s.Size != int64(len(data)) {
				t.Errorf("%+v", s)
			}
			left = 2
			if _, err := b.Put(t.Context(), Ref{"p", "b", 2}, data[:100]); err != nil {
				t.Error(err)
			}
			left = 2
			if err := b.Remove(t.Context(), one, upload); err != nil && name != "412" && name != "409" {
				t.Error(err)
			}
		})
	}
}
