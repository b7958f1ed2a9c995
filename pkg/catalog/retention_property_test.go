package catalog

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// sample is what a plan is made from.
type sample struct {
	now     time.Time
	backups []Dated
	policy  Policy
}

var zoneNames = []string{"UTC", "Europe/Paris", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu", "America/Sao_Paulo", "Australia/Lord_Howe"}

// draw makes a sample: dense, sparse or mixed, now and then with what is not to
// be trusted.
func draw(t testing.TB, r *rand.Rand) sample {
	s := sample{now: time.Unix(1_000_000_000+r.Int64N(1_500_000_000), 0).UTC()}
	at := s.now.Add(time.Duration(r.Int64N(int64(20*time.Minute))) - 10*time.Minute)
	gaps := []time.Duration{time.Second, 20 * time.Minute, hour, day, 40 * day}
	widest := gaps[r.IntN(len(gaps))]
	odd := r.IntN(3) == 0
	for i := range r.IntN(120) {
		b := dated(i, at)
		if odd && r.IntN(30) == 0 {
			spoil(&b, r.IntN(4), s.now)
		}
		s.backups = append(s.backups, b)
		at = at.Add(-time.Duration(r.Int64N(int64(widest))))
	}
	r.Shuffle(len(s.backups), func(i, k int) { s.backups[i], s.backups[k] = s.backups[k], s.backups[i] })
	s.policy = Policy{Zone: must[*time.Location](t)(time.LoadLocation(zoneNames[r.IntN(len(zoneNames))]))}
	for _, n := range []*int{&s.policy.KeepLast, &s.policy.Daily, &s.policy.Weekly, &s.policy.Monthly, &s.policy.Yearly} {
		if r.IntN(2) == 0 {
			*n = r.IntN(10)
		}
	}
	for _, d := range []*time.Duration{&s.policy.For, &s.policy.Minimum} {
		if r.IntN(2) == 0 {
			*d = time.Duration(r.Int64N(int64(10 * widest)))
		}
	}
	return s
}

// spoil makes a backup one that counts for no rule.
func spoil(b *Dated, how int, now time.Time) {
	switch how {
	case 0:
		b.Proof = ErrUntrusted
	case 1:
		b.Manifest, b.Proof = nil, ErrGarbage
	case 2:
		b.Damage = fmt.Errorf("its file is missing")
	default:
		b.Date = now.Add(maxAhead + time.Second)
	}
}

func kept(p Pruning) map[string]bool {
	all := map[string]bool{}
	for _, d := range p.Decisions {
		if d.Action != ActionRemove {
			all[d.ID] = true
		}
	}
	return all
}

func without(backups []Dated, plan Pruning) []Dated {
	keep := kept(plan)
	return slices.DeleteFunc(slices.Clone(backups), func(b Dated) bool { return !keep[b.ID] })
}

// check holds what must be so of every plan.
func (s sample) check(t *testing.T) {
	t.Helper()
	plan := Plan(s.now, s.backups, s.policy)
	if len(plan.Decisions) != len(s.backups) {
		t.Fatalf("%d decisions on %d backups", len(plan.Decisions), len(s.backups))
	}
	var newest Dated
	odd := false
	for _, b := range s.backups {
		switch bad := suspect(s.now, b) != ""; {
		case bad:
			odd = true
		case newest.ID == "" || b.Date.After(newest.Date) || b.Date.Equal(newest.Date) && b.ID > newest.ID:
			newest = b
		}
	}
	removals := plan.Removals()
	if odd != (len(plan.Alerts) > 0) || odd && len(removals) > 0 {
		t.Errorf("odd %v, %d alerts, %d removals", odd, len(plan.Alerts), len(removals))
	}
	if newest.ID != "" && !kept(plan)[newest.ID] {
		t.Error("the newest good one goes")
	}
	for i, d := range plan.Decisions {
		if i > 0 && d.Date.After(plan.Decisions[i-1].Date) {
			t.Error("the plan is not sorted")
		}
		if d.Reason == "" {
			t.Errorf("no reason: %+v", d)
		}
	}
	for _, d := range removals {
		if age := newest.Date.Sub(d.Date); age < s.policy.Minimum-maxAhead || age <= s.policy.For-maxAhead || s.now.Sub(d.Date) < s.policy.Minimum {
			t.Errorf("it goes although it is only %v old: %+v", age, d)
		}
	}
	if n := len(removals); (n > maxRemovals) && plan.Allowed(false) == nil {
		t.Errorf("%d go without force", n)
	}
	s.again(t, plan)
	s.shuffled(t, plan)
	s.monotone(t, plan)
}

// again: after the prune, at any later time, nothing more goes.
func (s sample) again(t *testing.T, plan Pruning) {
	t.Helper()
	for _, later := range []time.Duration{0, hour, 10_000 * day} {
		rest := without(s.backups, plan)
		second := Plan(s.now.Add(later), rest, s.policy)
		if n := len(second.Removals()); n > 0 && len(plan.Alerts) == 0 && (later == 0 || !ahead(s)) {
			t.Errorf("%d more go %v after the prune", n, later)
		}
	}
}

// ahead tells whether a good backup is a little ahead of now: then ages grow
// until now has caught up.
func ahead(s sample) bool {
	return slices.ContainsFunc(s.backups, func(b Dated) bool { return b.Date.After(s.now) })
}

// shuffled: the order in which backups are given does not matter.
func (s sample) shuffled(t *testing.T, plan Pruning) {
	t.Helper()
	backwards := slices.Clone(s.backups)
	slices.Reverse(backwards)
	if other := Plan(s.now, backwards, s.policy); !reflect.DeepEqual(kept(plan), kept(other)) {
		t.Error("the order matters")
	}
}

// monotone: to raise a number never removes more.
func (s sample) monotone(t *testing.T, plan Pruning) {
	t.Helper()
	if !s.policy.HasRule() {
		return // keeps all
	}
	for name, raise := range map[string]func(p *Policy){
		"last":    func(p *Policy) { p.KeepLast++ },
		"daily":   func(p *Policy) { p.Daily += 2 },
		"weekly":  func(p *Policy) { p.Weekly++ },
		"monthly": func(p *Policy) { p.Monthly += 3 },
		"yearly":  func(p *Policy) { p.Yearly++ },
		"for":     func(p *Policy) { p.For += 5 * hour },
		"minimum": func(p *Policy) { p.Minimum += 5 * hour },
	} {
		more := s.policy
		raise(&more)
		after := kept(Plan(s.now, s.backups, more))
		for id := range kept(plan) {
			if !after[id] {
				t.Errorf("more %s removes %s", name, id)
			}
		}
	}
}

func TestPlanProperties(t *testing.T) {
	removed, alerts := 0, 0
	for seed := range uint64(600) {
		s := draw(t, rand.New(rand.NewPCG(seed, 4)))
		s.check(t)
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, s.policy)
		}
		plan := Plan(s.now, s.backups, s.policy)
		removed += len(plan.Removals())
		alerts += len(plan.Alerts)
	}
	if removed < 5_000 || alerts < 100 {
		t.Errorf("only %d removals and %d alerts were looked at", removed, alerts)
	}
}

func FuzzPlan(f *testing.F) {
	f.Add(uint64(1), uint64(2), int64(hour), 3, 7, 4)
	f.Add(uint64(7), uint64(0), int64(-1), -3, 1<<62, 0)
	f.Add(uint64(99), uint64(1), int64(1)<<62, 0, 0, -1)
	f.Fuzz(func(t *testing.T, one, two uint64, length int64, last, daily, yearly int) {
		s := draw(t, rand.New(rand.NewPCG(one, two)))
		s.policy.KeepLast, s.policy.Daily, s.policy.Yearly = last, min(daily, 1<<60), yearly
		s.policy.For = time.Duration(min(length, 1<<60))
		s.check(t)
	})
}

// TestYears prunes after each backup for three years, as an agent does: it
// never takes force, and each rule has what it promises.
func TestYears(t *testing.T) {
	zone := must[*time.Location](t)(time.LoadLocation("Europe/Paris"))
	for _, gap := range []time.Duration{6 * hour, day, 3 * day} {
		policy := Policy{KeepLast: 3, Daily: 7, Weekly: 5, Monthly: 12, Yearly: 2, Minimum: day, Zone: zone}
		var there []Dated
		last := utc(t, "2023-01-01T00:30:00Z")
		for i := range int(3 * 365 * day / gap) {
			last = last.Add(gap)
			there = append(there, dated(i, last))
			plan := Plan(last.Add(time.Second), there, policy)
			if err := plan.Allowed(false); err != nil {
				t.Fatalf("each %v, after %d: %v", gap, i, err)
			}
			there = without(there, plan)
		}
		months, years := map[string]bool{}, map[int]bool{}
		for _, b := range there {
			months[b.Date.In(zone).Format("2006-01")] = true
			years[b.Date.In(zone).Year()] = true
		}
		if len(months) < 12 || len(years) < 2 || len(there) > 3+7+5+12+2+4 {
			t.Errorf("each %v: %d left, of %d months and %d years", gap, len(there), len(months), len(years))
		}
		t.Logf("each %v: %d left after three years, of %d months", gap, len(there), len(months))
	}
}
