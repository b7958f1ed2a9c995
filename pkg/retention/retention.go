// Package retention says which backups are kept, and why: the rules alone, for whoever
// keeps backups.
//
//	judge := retention.NewJudge(newest, retention.Policy{Daily: 7, Weekly: 4, Minimum: 24 * time.Hour})
//	for _, b := range backups { // the newest first
//		keep, rules, reason := judge.Decide(b.Finished)
//	}
//
// Which backups count, such as only those that are proved, is for the caller to say. It
// reads no clock and changes nothing.
package retention

import "time"

// Policy says which backups are kept: each that one of its rules keeps, the
// others go. A rule that is zero keeps nothing, and a policy without any rule
// removes nothing. All ages are measured from the newest backup, so that
// nothing goes while no new backups come, nor when a clock jumps ahead.
type Policy struct {
	KeepLast int // the newest ones

	// The newest one of each of so many calendar days, weeks (from Monday),
	// months and years that have one, counted from the newest back.
	Daily, Weekly, Monthly, Yearly int

	For     time.Duration  // all that are no older
	Minimum time.Duration  // nothing younger goes, whatever else is said; no rule by itself
	Zone    *time.Location // whose days count; nil is UTC
}

// HasRule tells whether a rule keeps anything. Minimum alone is none.
func (p Policy) HasRule() bool {
	return p.KeepLast > 0 || p.Daily > 0 || p.Weekly > 0 || p.Monthly > 0 || p.Yearly > 0 || p.For > 0
}
