package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/locker"
)

const (
	// stormSeeds is how many runs there are, unless DBACKED_TEST_STORMS says
	// another number, as make storm does. They take less than a minute.
	stormSeeds = 60
	// stormWorkers is how many of them go on at once: they mostly wait.
	stormWorkers = 32
)

var (
	errHangs    = errors.New("it hangs")
	errNotEqual = errors.New("what was restored is not what was dumped")
)

// The ends that a run may have.
const (
	proved      = "proved, restores equal"
	nothingLeft = "failed, nothing left"
	leftSaid    = "failed, files left, said"
	wholeSaid   = "failed, whole backup left, said"
)

var outcomes = []string{proved, nothingLeft, leftSaid, wholeSaid}

// report is how a run ended.
type report struct {
	outcome string
	stage   string // that failed
	faults  map[string]int
	left    string // what of the failed run there was for the next one
	through string // what reading through the same weather gave
	held    bool   // the lease was left, too
}

// TestStorm makes backups in a bucket through a network and a service that fail
// by a seeded plan. Each run ends in a backup that is proved and restores equal,
// or in an error that names a stage, with nothing to see and nothing left but
// what it said that it could not remove; and what is half-made of that is gone
// after the next run.
func TestStorm(t *testing.T) {
	seeds := uint64(stormSeeds)
	if text := os.Getenv("DBACKED_TEST_STORMS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			t.Fatalf("DBACKED_TEST_STORMS: %v", err)
		}
		seeds = n
	}
	server := dbtest.S3(t)
	server.Bucket(t, stormBucket, false)
	shared := newBed(t)
	trust, err := catalog.ParseTrust([]string{shared.signer.Verifier()})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	reports := make([]*report, seeds)
	next := make(chan uint64, seeds)
	for seed := range seeds {
		next <- seed
	}
	close(next)
	var workers sync.WaitGroup
	for range stormWorkers {
		workers.Go(func() {
			for seed := range next {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					reports[seed] = newStorm(t, server, shared, trust, seed).pass()
				})
			}
		})
	}
	workers.Wait()
	reports = slices.DeleteFunc(reports, func(r *report) bool { return r == nil }) // -run chose others
	t.Logf("%d seeded runs in %s:\n%s", len(reports), time.Since(began).Round(time.Second), table(reports))
	good := 0
	for _, r := range reports {
		if r.outcome == proved {
			good++
		}
	}
	if len(reports) > 10 && (good < len(reports)/3 || good == len(reports)) {
		t.Errorf("%d of %d runs were proved: the weather is too bad, or too good, to show anything", good, len(reports))
	}
}

// pass is the run, and the next one in good weather.
func (s *storm) pass() *report {
	ctx := context.Background()
	s.begin(ctx)
	r := &report{}
	m, err := s.run(ctx, s.stormy, 0)
	r.faults = s.proxy.Done()
	if err == nil {
		s.success(ctx, m, r)
	} else {
		s.failure(ctx, err, r)
	}
	s.next(ctx, r)
	return r
}

// success checks that a run that says so made a backup.
func (s *storm) success(ctx context.Context, m *catalog.Manifest, r *report) {
	s.t.Helper()
	r.outcome = proved
	s.isWhole(ctx, m.ID)
	objects, uploads := s.there(s.t)
	if len(objects) != len(m.Files)+1 {
		s.t.Errorf("there are %q", objects)
	}
	if len(uploads) > 0 {
		r.left = "open uploads"
	}
	if s.policy {
		return // who may only write cannot read
	}
	switch err := s.equal(ctx, s.stormy, m); {
	case err == nil:
		r.through = "equal"
	case errors.Is(err, errNotEqual), errors.Is(err, ErrDiffers):
		s.t.Errorf("restored through the storm: %v", err)
	default:
		r.through = "failed"
	}
}

// isWhole checks that a backup is listed, proved, verified, and restores equal.
func (s *storm) isWhole(ctx context.Context, id string) {
	s.t.Helper()
	e, err := catalog.Load(ctx, s.healthy, s.instance, id, s.trust)
	if err = errors.Join(err, e.Proof); err != nil {
		s.t.Errorf("false success: %v", err)
		return
	}
	if err := errors.Join(s.verify(ctx, e.Manifest), s.equal(ctx, s.healthy, e.Manifest)); err != nil {
		s.t.Errorf("false success: %v", err)
	}
}

// failure checks that a run that failed says why, shows nothing, and leaves
// nothing of which it does not say so.
func (s *storm) failure(ctx context.Context, err error, r *report) {
	s.t.Helper()
	s.t.Log(err)
	var stage *StageError
	if !errors.As(err, &stage) || errors.Is(err, errHangs) {
		s.t.Errorf("the failure is not named: %v", err)
		return
	}
	r.stage = stage.Stage
	objects, uploads := s.there(s.t)
	var said []string
	for _, c := range s.complains.All() {
		said = append(said, fmt.Sprint(c.Message, c.ContextMap()))
	}
	if strings.Contains(err.Error(), "could not be removed") {
		said = append(said, err.Error())
	}
	backups := s.backups(ctx)
	switch {
	case len(objects)+len(uploads) == 0:
		r.outcome = nothingLeft
	case len(said) == 0:
		s.t.Errorf("left, and not said: %q, uploads of %q", objects, uploads)
	case len(backups) > 0:
		r.outcome = wholeSaid
		s.isWhole(ctx, backups[0].ID)
	default:
		r.outcome = leftSaid
	}
	if len(objects)+len(uploads) > 0 {
		r.left = fmt.Sprintf("%d files, %d uploads", len(objects), len(uploads))
		s.t.Logf("left: %q, uploads of %q; said: %q", objects, uploads, said)
	}
}

// next is the next run, in good weather, by somebody who may remove and for whom
// what is there is old: it is proved, and nothing is left but whole backups.
func (s *storm) next(ctx context.Context, r *report) {
	s.t.Helper()
	// The service counts seconds: so that what is there is older than that.
	<-time.After(1100 * time.Millisecond)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	s.size = 1000 // its data do not matter
	m, err := s.run(ctx, s.healthy, time.Millisecond)
	for errors.Is(err, locker.ErrHeld) { // until the lease that was not given back ends
		r.held = true
		<-tick.C
		m, err = s.run(ctx, s.healthy, time.Millisecond)
	}
	if err != nil {
		s.t.Errorf("the next run: %v", err)
		return
	}
	s.isWhole(ctx, m.ID)
	backups := s.backups(ctx)
	var want []string
	for _, b := range backups {
		if err := errors.Join(b.Proof, s.verify(ctx, b.Manifest)); err != nil {
			s.t.Errorf("after the next run: %v", err)
		}
		for _, f := range b.Manifest.Files {
			want = append(want, catalog.Path(s.instance, b.ID, f.Name))
		}
		want = append(want, catalog.Path(s.instance, b.ID, "manifest"))
	}
	objects, uploads := s.there(s.t)
	slices.Sort(want)
	if !slices.Equal(objects, want) || len(uploads) > 0 {
		s.t.Errorf("after the next run there are %q instead of %q, and uploads of %q", objects, want, uploads)
	}
	before := 0
	if r.outcome == proved || r.outcome == wholeSaid {
		before++
	}
	if len(backups) != before+1 {
		s.t.Errorf("after the next run there are %d backups, and before it there were %d", len(backups), before)
	}
}

// table shows how runs ended, by the faults that they met.
func table(reports []*report) string {
	var b strings.Builder
	count := func(is func(*report) bool) (n int) {
		for _, r := range reports {
			if is(r) {
				n++
			}
		}
		return n
	}
	row := func(name string, is func(*report) bool, times int) {
		fmt.Fprintf(&b, "  %-28s %6d |", name, times)
		for _, o := range outcomes {
			fmt.Fprintf(&b, " %10d", count(func(r *report) bool { return r.outcome == o && is(r) }))
		}
		b.WriteString("\n")
	}
	for i, o := range outcomes {
		fmt.Fprintf(&b, "  column %d: %s\n", i+1, o)
	}
	kinds := map[string]int{}
	for _, r := range reports {
		for name, n := range r.faults {
			kinds[name] += n
		}
	}
	fmt.Fprintf(&b, "  %-28s %6s | runs that met it, by how they ended\n", "fault", "times")
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		row(name, func(r *report) bool { return r.faults[name] > 0 }, kinds[name])
	}
	row("all runs", func(*report) bool { return true }, len(reports))
	details := map[string]int{}
	for _, r := range reports {
		if r.stage != "" {
			details["failed in stage "+r.stage]++
		}
		if r.left != "" {
			details[fmt.Sprintf("left for the next run after %q: %s", cmp.Or(r.outcome, "?"), r.left)]++
		}
		if r.through != "" {
			details["restored through the same weather: "+r.through]++
		}
		if r.held {
			details["lease not given back, and waited for"]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(details)) {
		fmt.Fprintf(&b, "  %4d × %s\n", details[name], name)
	}
	return b.String()
}
