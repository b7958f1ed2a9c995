package agent

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/pipeline"
)

// History is what the storage holds.
type History struct {
	Backups []Backup // the newest proved ones, the newest first, wherever they are
	Places  []PlaceHistory

	// Of a service that says it: its plan, and when a backup is due; else empty.
	Schedule, Timezone string
	Due                time.Time
}

// PlaceHistory is what one of several places holds. A storage that is one has
// none.
type PlaceHistory struct {
	Storage string // URL
	Backups []Backup
	Err     error // why it could not be read
}

// newest is the newest backup whose time can be believed: a clock that was wrong
// once must not end the backups until it is right.
func newest(backups []Backup, now time.Time) (Backup, bool) {
	for _, b := range backups {
		if !b.Started.After(now.Add(skew)) {
			return b, true
		}
	}
	return Backup{}, false
}

// furthest is when the newest backup began of the place that is furthest behind:
// what is due is what that one needs. It is zero where there is none, or where
// nothing is known of it, since it is away.
func (s *state) furthest(now time.Time) (began time.Time, place string) {
	backup, _ := s.newest(now)
	began = backup.Started
	for _, p := range s.places {
		backup, _ := newest(p.Backups, now)
		if p.Err != nil {
			backup = Backup{}
		}
		if place == "" || backup.Started.Before(began) {
			began, place = backup.Started, p.Storage
		}
	}
	return began, place
}

// placesAway says which places could not be read, empty when there are none.
func (s *state) placesAway() string {
	var all []string
	for _, p := range s.places {
		if p.Err != nil {
			all = append(all, fmt.Sprintf("%s cannot be read: %v", p.Storage, p.Err))
		}
	}
	return strings.Join(all, "; ")
}

// statusPlaces are the places as the status shows them.
func (s *state) statusPlaces(now time.Time) (all []Place) {
	for _, p := range s.places {
		one := Place{Storage: p.Storage}
		if p.Err != nil {
			one.Error = p.Err.Error()
		}
		if b, ok := newest(p.Backups, now); ok {
			one.Newest = &b
		}
		all = append(all, one)
	}
	return all
}

// runPlaces says of a run to several places how it ended in each.
func runPlaces(b Backup, err error) (places []RunPlace, partial bool) {
	for _, name := range b.Places {
		places = append(places, RunPlace{Storage: name})
	}
	e, partial := errors.AsType[*pipeline.PartialError](err)
	if partial {
		for _, p := range e.Failed {
			places = append(places, RunPlace{Storage: p.Name, Error: p.Err.Error()})
		}
	}
	return places, partial
}

// holders are the places of a backup that is remembered by the storage alone.
func holders(b Backup) []RunPlace {
	places, _ := runPlaces(b, nil)
	return places
}
