package alerts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/dbacked/dbacked/pkg/server/records"
)

const (
	lateAfter   = 30 * time.Minute
	silentAfter = time.Hour

	// Sizes are compared with those of so many backups before.
	mostSizes  = 10
	leastSizes = 4
)

// facts are what is known of a project.
type facts struct {
	records.Known
	last records.Backup   // that ended last, done or failed; without an ID if none did
	done []records.Backup // the newest first, at most mostSizes and one
	// since is when the service was there again after a pause.
	since time.Time
}

// condition is something that is wrong.
type condition struct {
	kind, subject, text string
	// unsure is what the service was not there to see: an alert stays open for it,
	// but none is opened.
	unsure bool
}

// conditions are those that hold now.
func conditions(f facts, now time.Time) (all []condition) {
	for _, rule := range []func(facts, time.Time) (condition, bool){failed, late, silent, keyMismatch, oddSize} {
		if c, holds := rule(f, now); holds {
			all = append(all, c)
		}
	}
	return all
}

func failed(f facts, _ time.Time) (c condition, holds bool) {
	if f.last.State != records.StateFailed || len(f.done) > 0 && f.done[0].Started.After(f.last.Started) {
		return c, false
	}
	why := f.last.Error
	if why == "" {
		why = "its agent did not say why"
	}
	return condition{kind: KindFailed, text: fmt.Sprintf("The backup %s, by the agent %s, failed: %s", f.last.ID, clean(f.last.AgentID), clean(why))}, true
}

func late(f facts, now time.Time) (c condition, holds bool) {
	if f.NextDue.IsZero() || !f.Served {
		return c, false
	}
	from := f.NextDue
	if len(f.done) > 0 && f.done[0].Finished.After(from) {
		from = f.done[0].Finished // it took longer than the time between two
	}
	begun := f.ActiveUntil.After(now) && !f.ActiveStarted.After(from.Add(lateAfter))
	if now.Sub(from) <= lateAfter || begun {
		return c, false
	}
	text := fmt.Sprintf("A backup was due at %s, and none was done since.", moment(f.NextDue))
	switch {
	case f.LastSeen.IsZero():
		text += " No agent ever asked for one."
	case now.Sub(f.LastSeen) > lateAfter:
		text += fmt.Sprintf(" No agent has asked since %s.", moment(f.LastSeen))
	}
	return condition{kind: KindLate, text: text, unsure: now.Sub(f.since) <= lateAfter}, true
}

func silent(f facts, now time.Time) (c condition, holds bool) {
	if f.LastSeen.IsZero() || !f.Served || f.ActiveUntil.After(now) || now.Sub(f.LastSeen) <= silentAfter {
		return c, false
	}
	return condition{
		kind: KindSilent, text: fmt.Sprintf("No agent has spoken since %s.", moment(f.LastSeen)),
		unsure: now.Sub(f.since) <= silentAfter,
	}, true
}

func keyMismatch(f facts, _ time.Time) (c condition, holds bool) {
	if len(f.done) == 0 || f.PublicKey == "" || f.done[0].PublicKey == "" {
		return c, false
	}
	is, want := fields(f.done[0].PublicKey), fields(f.PublicKey)
	if is == want {
		return c, false
	}
	sum := sha256.Sum256([]byte(is))
	return condition{
		kind: KindKey, subject: hex.EncodeToString(sum[:8]), // another wrong key is another alert
		text: fmt.Sprintf("The backup %s, by the agent %s, is encrypted for another key than the project's: the project's private key does not open it.", f.done[0].ID, clean(f.done[0].AgentID)),
	}, true
}

// fields is a text without white space.
func fields(text string) string { return strings.Join(strings.Fields(text), "") }

func oddSize(f facts, _ time.Time) (c condition, holds bool) {
	if len(f.done) <= leastSizes {
		return c, false
	}
	var sizes []int64
	for _, b := range f.done[1:min(len(f.done), mostSizes+1)] {
		sizes = append(sizes, b.Size)
	}
	usual, size := median(sizes), f.done[0].Size
	if 2*size >= usual && size <= 2*usual {
		return c, false
	}
	return condition{kind: KindOddSize, text: fmt.Sprintf("The backup %s has %s, where %s are usual.", f.done[0].ID, amount(size), amount(usual))}, true
}

func median(sizes []int64) int64 {
	slices.Sort(sizes)
	middle := len(sizes) / 2
	if len(sizes)%2 == 1 {
		return sizes[middle]
	}
	return sizes[middle-1]/2 + sizes[middle]/2
}

func amount(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

const longestText = 1000

// clean is what somebody said, fit for one line.
func clean(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }), " "), "?")
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + "…"
	}
	return text
}
