package main

import (
	"context"
	"fmt"
	"time"
)

// undoLimit bounds taking one thing back.
const undoLimit = 15 * time.Second

// undoing takes back what was made, the newest first.
type undoing struct{ steps []undoStep }

type undoStep struct {
	what string
	do   func(context.Context) error
}

func (u *undoing) add(what string, do func(context.Context) error) {
	u.steps = append(u.steps, undoStep{what, do})
}

// mark is where to come back to.
func (u *undoing) mark() int { return len(u.steps) }

// keep lets everything stay.
func (u *undoing) keep() { u.steps = nil }

// all takes everything back, also after a Ctrl-C.
func (u *undoing) all(a *app) { u.back(a, 0) }

// back takes back what was made since mark.
func (u *undoing) back(a *app, mark int) {
	for len(u.steps) > mark {
		step := u.steps[len(u.steps)-1]
		u.steps = u.steps[:len(u.steps)-1]
		ctx, cancel := context.WithTimeout(context.Background(), undoLimit)
		err := step.do(ctx)
		cancel()
		if err != nil {
			a.warn(fmt.Sprintf("%s stays: %v", step.what, err))
		}
	}
}
