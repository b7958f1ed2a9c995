package agent

import (
	"fmt"
	"time"
)

// The chart has a slot for each of maxRuns runs, the newest at the right. The
// browser stretches it to the width of the page.
const (
	slotWidth = 10
	barWidth  = 6
	barHeight = 100
	leastBar  = 3 // so that the shortest run is seen too
)

// chart shows how long the last runs took and how much they stored.
type chart struct {
	Width, Height    int
	Slots            []slot // all of them, from left to right
	Longest, Largest string
	Since, To        string // from the first run to the last one
	Summary          string // for those who do not see it
}

// slot is the place of a run in the chart.
type slot struct {
	X, Width       int // of the slot
	BarX, BarWidth int
	Mark           string // as in row; empty where there is no run
	Title          string
	Took, TookTop  int // height and top of the bars
	Size, SizeTop  int
}

func (v *view) chart() *chart {
	if len(v.Rows) == 0 {
		return nil
	}
	c := &chart{Width: maxRuns * slotWidth, Height: barHeight}
	rows := v.Rows[:min(len(v.Rows), maxRuns)]
	var longest time.Duration
	var largest int64
	failed := 0
	for _, r := range rows {
		longest = max(longest, r.Finished.Sub(r.Started))
		largest = max(largest, r.StoredBytes)
		if r.Mark == "bad" {
			failed++
		}
	}
	for i := range maxRuns {
		s := slot{X: i * slotWidth, Width: slotWidth, BarX: i*slotWidth + (slotWidth-barWidth)/2, BarWidth: barWidth}
		if at := maxRuns - 1 - i; at < len(rows) {
			s.show(rows[at], longest, largest)
		}
		c.Slots = append(c.Slots, s)
	}
	c.Longest, c.Largest = span(longest), size(largest)
	c.Since, c.To = fmt.Sprintf("%d since %s", len(rows), rows[len(rows)-1].At), rows[0].At
	c.Summary = fmt.Sprintf("The last %d runs, %d of them failed; the longest took %s, the largest stored %s", len(rows), failed, c.Longest, c.Largest)
	return c
}

func (s *slot) show(r row, longest time.Duration, largest int64) {
	s.Mark = r.Mark
	s.Title = fmt.Sprintf("%s: took %s, %s", r.At, r.Took, r.Verdict)
	if r.Mark == "good" {
		s.Title = fmt.Sprintf("%s: took %s, %s of dump, %s stored", r.At, r.Took, r.Plain, r.Stored)
		s.Size = height(float64(r.StoredBytes), float64(largest))
	}
	s.Took = height(float64(r.Finished.Sub(r.Started)), float64(longest))
	s.TookTop, s.SizeTop = barHeight-s.Took, barHeight-s.Size
}

// height is that of a bar, of which the highest is that of most.
func height(value, most float64) int {
	if most <= 0 || value <= 0 {
		return leastBar
	}
	return max(leastBar, int(value/most*barHeight+0.5))
}
