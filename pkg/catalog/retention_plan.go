package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/retention"
)

const (
	// maxAhead is how far the store's clock may be ahead of this machine's.
	maxAhead = 10 * time.Minute
	// maxRedated is how much later than it was made a backup may have been
	// stored: what is later was copied, or made by a wrong clock.
	maxRedated = 24 * time.Hour
	// A prune that removes more than maxRemovals backups, or more than half of
	// them and more than fewRemovals, is more likely a mistake than wanted.
	maxRemovals = 10
	fewRemovals = 2
)

// Errors of a prune that removes nothing.
var (
	// ErrStopped says that there are backups which must be looked at first.
	ErrStopped = errors.New("nothing is removed")
	// ErrNeedsForce says that what is to be removed is likely not what is meant.
	ErrNeedsForce = errors.New("nothing is removed without --force")
)

// Action is what is to be done with a backup.
type Action string

// The actions. ActionAlert leaves a backup that must be looked at first.
const (
	ActionKeep   Action = "keep"
	ActionRemove Action = "remove"
	ActionAlert  Action = "alert"
)

// Decision is what is to be done with one backup, and why.
type Decision struct {
	ID     string
	Date   time.Time // the store's, not the backup's own
	Stored int64     // bytes
	Action Action
	Rules  []string // that keep it: "newest", "minimum", "last", "daily", "weekly", "monthly", "yearly", "for"
	Reason string   // in words
}

// Pruning is what Plan decides.
type Pruning struct {
	Decisions []Decision // the newest first
	Alerts    []string   // why nothing at all may be removed
	Cautions  []string   // why it takes force to remove anything
}

// Removals are the decisions to remove, the oldest first.
func (p Pruning) Removals() []Decision {
	var removals []Decision
	for _, d := range slices.Backward(p.Decisions) {
		if d.Action == ActionRemove {
			removals = append(removals, d)
		}
	}
	return removals
}

// Allowed says whether the plan may be carried out: nil, ErrStopped or, without
// force, ErrNeedsForce.
func (p Pruning) Allowed(force bool) error {
	if len(p.Alerts) > 0 {
		return fmt.Errorf("%w: %s; find out why, then have dbacked remove take away what should not be there", ErrStopped, some(p.Alerts))
	}
	if len(p.Cautions) > 0 && !force {
		return fmt.Errorf("%w: %s", ErrNeedsForce, some(p.Cautions))
	}
	return nil
}

// some joins the first of texts.
func some(texts []string) string {
	const most = 3
	if more := len(texts) - most; more > 0 {
		texts = append(slices.Clone(texts[:most]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// Plan decides which backups of one instance are kept and which go. It never
// removes the newest good one, nor what is younger than the minimum. A backup
// whose origin is not proved, that is damaged or hidden by a newer version, or
// that the store dates more than 10 minutes after now counts for no rule, and
// nothing at all is removed while there is one. It reads no clock and changes
// nothing: [Prune] does.
func Plan(now time.Time, backups []Dated, policy Policy) Pruning {
	backups = slices.SortedFunc(slices.Values(backups), func(a, b Dated) int {
		return cmp.Or(b.Date.Compare(a.Date), strings.Compare(b.ID, a.ID))
	})
	var p Pruning
	judge := retention.NewJudge(newest(now, backups), policy)
	var copied, good int
	for _, b := range backups {
		d := Decision{ID: b.ID, Date: b.Date, Stored: b.Stored}
		if why := suspect(now, b); why != "" {
			d.Action, d.Reason = ActionAlert, why
			p.Alerts = append(p.Alerts, "backup "+b.ID+": "+why)
		} else {
			good++
			var keep bool
			if keep, d.Rules, d.Reason = judge.Decide(b.Date); keep {
				d.Action = ActionKeep
			} else {
				d.Action = ActionRemove
			}
		}
		if d.Action == ActionRemove && b.Date.Sub(b.Manifest.Finished) > maxRedated {
			copied++
		}
		p.Decisions = append(p.Decisions, d)
	}
	p.Cautions = cautions(len(p.Removals()), good, copied)
	if len(p.Alerts) > 0 {
		p.stop()
	}
	return p
}

// newest is from when ages are measured: the newest good backup, or now if that is
// sooner.
func newest(now time.Time, backups []Dated) time.Time {
	for _, b := range backups {
		if suspect(now, b) != "" {
			continue
		}
		if b.Date.Before(now) {
			return b.Date
		}
		break
	}
	return now
}

// suspect says why a backup is none that counts, "" if it is a good one.
func suspect(now time.Time, b Dated) string {
	switch ahead := b.Date.Sub(now); {
	case b.Proof != nil:
		return b.Proof.Error()
	case b.Manifest == nil:
		return ErrGarbage.Error()
	case b.Displaced != nil:
		return b.Displaced.Error()
	case b.Damage != nil:
		return "damaged: " + b.Damage.Error()
	case b.Date.IsZero():
		return "the store does not say when it was written"
	case ahead > maxAhead:
		return fmt.Sprintf("from the future: the store's date is %s ahead of this machine's clock", retention.Long(ahead.Round(time.Second)))
	}
	return ""
}

func cautions(removals, good, copied int) []string {
	var all []string
	if removals > maxRemovals {
		all = append(all, fmt.Sprintf("%d backups would go, and more than %d at once may be a mistake", removals, maxRemovals))
	}
	if removals > fewRemovals && removals*2 > good {
		all = append(all, fmt.Sprintf("%d of %d backups would go, and more than half at once may be a mistake", removals, good))
	}
	if copied > 0 {
		all = append(all, fmt.Sprintf("%d that would go were made more than a day before the store's date: copied without their dates, or made by a wrong clock", copied))
	}
	return all
}

// stop keeps all that would go.
func (p *Pruning) stop() {
	p.Cautions = nil
	for i := range p.Decisions {
		if d := &p.Decisions[i]; d.Action == ActionRemove {
			d.Action, d.Reason = ActionKeep, "an alert stops the prune; without it, it would go: "+d.Reason
		}
	}
}
