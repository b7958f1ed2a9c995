package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// TestEachOnce lets five things go wrong in 20 projects, and be mended, under three
// replicas that look at the same time, and are restarted in the middle. Each alert,
// and each end of one, arrives once by mail and once by webhook.
func TestEachOnce(t *testing.T) {
	onEach(t, 3, func(t *testing.T, b *bed) {
		const projects = 20
		h, p := newHook(t), newPost(t, nil, "")
		b.smtp = SMTP{Host: "127.0.0.1", Port: p.port(), TLS: TLSNone, From: "dbacked@example.org"}
		b.close()
		b.open(3)
		b.target(TargetWebhook, fmt.Sprintf(`{"url": %q, "secret": "s"}`, h.url+"/hook"))
		b.target(TargetEmail, `{"emails": ["admin@example.org"]}`)
		all := make([]records.Project, projects)
		for i := range all {
			all[i] = b.project(fmt.Sprint("p", i))
		}
		each := func(at time.Time, do func(i int, p records.Project)) {
			b.until(at)
			for i, p := range all {
				do(i%5, p)
			}
			b.look()
		}
		at := func(hour, minute int) time.Time { return time.Date(2026, 11, 26, hour, minute, 0, 0, time.UTC) }
		for hour := range 5 { // nobody looks yet
			b.clock.Store(at(12+hour, 30).UnixNano())
			for _, p := range all {
				b.backup(p, 1000, "right")
			}
		}
		b.until(at(17, 1))
		if n := len(h.calls()) + len(p.subjects()); n != 0 {
			t.Fatalf("all is well, and %d messages", n)
		}
		each(at(17, 2), func(kind int, p records.Project) {
			switch kind {
			case 0:
				b.fails(p, "no space left")
			case 1:
				b.speaks(p) // and makes no backup
			case 3:
				b.backup(p, 1000, "wrong")
			case 4:
				b.backup(p, 5000, "right")
			} // 2 says nothing
		})
		each(at(17, 4), func(kind int, p records.Project) {
			if kind == 0 {
				b.fails(p, "no space left, again") // is no second alert
			}
		})
		each(at(17, 20), func(kind int, p records.Project) {
			if kind == 0 {
				b.backup(p, 1000, "right")
			}
		})
		b.until(at(17, 36))
		b.close()
		b.open(3)
		each(at(17, 45), func(kind int, p records.Project) {
			if kind == 1 || kind == 2 {
				b.backup(p, 1000, "right")
			}
		})
		each(at(18, 2), func(_ int, p records.Project) { b.backup(p, 1000, "right") })
		b.until(at(18, 40))

		want := map[string]int{}
		for i := range all {
			for _, kind := range [][]string{{KindFailed}, {KindLate}, {KindLate, KindSilent}, {KindKey}, {KindOddSize}}[i%5] {
				want[fmt.Sprintf("p%d %s opened", i, kind)] = 1
				want[fmt.Sprintf("p%d %s recovered", i, kind)] = 1
			}
		}
		if diff := cmp.Diff(want, posted(t, h)); diff != "" {
			t.Errorf("by webhook: %s", diff)
		}
		if diff := cmp.Diff(want, mailed(p)); diff != "" {
			t.Errorf("by mail: %s", diff)
		}
		if n := b.log.FilterLevelExact(zap.ErrorLevel).Len(); n != 0 {
			t.Errorf("%d errors were logged: %v", n, b.log.FilterLevelExact(zap.ErrorLevel).All()[0])
		}
		if open, err := b.stores[0].OpenAlerts(t.Context()); err != nil || len(open) != 0 {
			t.Errorf("still open: %v, %v", open, err)
		}
	})
}

// posted counts what arrived, and looks at the order.
func posted(t *testing.T, h *hook) map[string]int {
	got, ended := map[string]int{}, map[string]bool{}
	for i, body := range h.calls() {
		var m Message
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			t.Fatal(err)
		}
		got[m.Project+" "+m.Kind+" "+m.State]++
		if m.State == records.EventOpened && ended[m.ID] {
			t.Errorf("%s ended before it began", body)
		}
		ended[m.ID] = m.State == records.EventRecovered
		if h.signed[i] != Sign("s", []byte(body)) {
			t.Errorf("signed %s", h.signed[i])
		}
		if m.Text == "" || m.At.IsZero() || m.ProjectID == "" {
			t.Error(body)
		}
	}
	return got
}

func mailed(p *post) map[string]int {
	got := map[string]int{}
	for _, subject := range p.subjects() {
		name, kind, _ := strings.Cut(strings.TrimPrefix(subject, "[dbacked] "), ": ")
		state := records.EventOpened
		if inner, ok := strings.CutPrefix(kind, "recovered ("); ok {
			kind, state = strings.TrimSuffix(inner, ")"), records.EventRecovered
		}
		got[name+" "+kind+" "+state]++
	}
	return got
}

// TestRetried has a webhook that does not answer well for a while.
func TestRetried(t *testing.T) {
	onEach(t, 2, func(t *testing.T, b *bed) {
		h := newHook(t)
		h.answer = func(n int, w http.ResponseWriter) {
			if n < 3 {
				w.WriteHeader(http.StatusBadGateway)
			}
		}
		b.target(TargetWebhook, fmt.Sprintf(`{"url": %q, "secret": "s"}`, h.url+"/token-7"))
		p, other := b.project("shop"), b.project("other")
		b.fails(p, "boom")
		b.look()
		b.fails(other, "boom")
		b.pass(time.Second * 40)
		if n := len(h.calls()); n != 1 {
			t.Errorf("%d calls: what else the target is to be told did not wait", n)
		}
		for range 5 {
			b.pass(10 * time.Minute)
		}
		got := map[string]int{}
		calls := h.calls()
		for _, body := range calls[3:] {
			var m Message
			b.ok(json.Unmarshal([]byte(body), &m))
			got[m.Project+" "+m.Kind]++
		}
		if diff := cmp.Diff(map[string]int{"shop failed": 1, "shop late": 1, "other failed": 1, "other late": 1}, got); diff != "" {
			t.Error(diff)
		}
		for _, one := range b.log.All() {
			if text := fmt.Sprint(one.Message, one.ContextMap()); strings.Contains(text, "token-7") {
				t.Errorf("a log with a secret: %s", text)
			}
		}
	})
}

// pass lets replicas look after a while.
func (b *bed) pass(d time.Duration) {
	b.clock.Add(int64(d))
	b.look()
}

// TestGivenUp has a target that never takes anything.
func TestGivenUp(t *testing.T) {
	onEach(t, 1, func(t *testing.T, b *bed) {
		h := newHook(t)
		h.answer = func(_ int, w http.ResponseWriter) {
			w.Header().Set("Location", "/elsewhere") // is not followed
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
		b.target(TargetWebhook, fmt.Sprintf(`{"url": %q, "secret": "s"}`, h.url))
		p := b.project("shop")
		b.fails(p, "boom")
		b.ok(b.stores[0].RevokeKey(t.Context(), b.keys[p.ID].ID, b.now())) // nothing else is told
		for range 100 {
			b.pass(9 * time.Minute)
		}
		tries := map[string]int{}
		for _, body := range h.calls() {
			tries[body]++
		}
		for body, n := range tries {
			if n != mostTries {
				t.Errorf("%d tries of %s", n, body)
			}
		}
		all, err := b.stores[0].Alerts(t.Context(), "", false, 10)
		b.ok(err)
		for _, a := range all {
			if a.GaveUp != 1 || a.Pending != 0 || a.Told != 0 {
				t.Errorf("%+v", a)
			}
		}
	})
}

// TestServiceAway lets the service be away: no agent could speak to it meanwhile.
func TestServiceAway(t *testing.T) {
	onEach(t, 1, func(t *testing.T, b *bed) {
		p := b.project("shop")
		b.backup(p, 1, "right")
		b.look()
		b.clock.Add(int64(10 * time.Hour))
		b.look()
		b.kinds()
		b.until(b.now().Add(35 * time.Minute))
		b.kinds(KindLate)
		b.until(b.now().Add(30 * time.Minute))
		b.kinds(KindLate, KindSilent)
		b.clock.Add(int64(10 * time.Hour))
		b.look() // and they stay open over the next time
		b.kinds(KindLate, KindSilent)
		b.backup(p, 1, "right")
		b.pass(time.Minute)
		b.kinds()
	})
}

func (b *bed) kinds(want ...string) {
	b.t.Helper()
	open, err := b.stores[0].OpenAlerts(b.t.Context())
	b.ok(err)
	var got []string
	for _, a := range open {
		got = append(got, a.Kind)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		b.t.Errorf("open are %v, not %v", got, want)
	}
}

// TestRun lets a replica run by itself, and stops it.
func TestRun(t *testing.T) {
	onEach(t, 1, func(t *testing.T, b *bed) {
		h, told := newHook(t), make(chan struct{})
		h.answer = func(n int, _ http.ResponseWriter) {
			if n == 0 {
				close(told)
			}
		}
		b.target(TargetWebhook, fmt.Sprintf(`{"url": %q, "secret": "s"}`, h.url))
		b.fails(b.project("shop"), "boom")
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			New(b.stores[0], Options{Now: b.now, Interval: time.Hour}).Run(ctx)
		}()
		<-told
		cancel()
		<-stopped
		if all, err := b.stores[0].Alerts(t.Context(), "", false, 10); err != nil || len(all) != 1 || all[0].Told != 1 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}
