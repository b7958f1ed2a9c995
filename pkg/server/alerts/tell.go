package alerts

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// tell makes the deliveries that are to be made by now.
func (r *Runner) tell(ctx context.Context) {
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for ctx.Err() == nil {
				more, err := r.tellOne(ctx)
				if err != nil && ctx.Err() == nil {
					r.options.Log.Error("could not tell an alert", zap.Error(err))
				}
				if !more {
					return
				}
			}
		})
	}
	all.Wait()
}

// tellOne makes one delivery, and says whether there was one.
func (r *Runner) tellOne(ctx context.Context) (bool, error) {
	now := r.options.Now()
	d, err := r.records.Claim(ctx, now.Add(claimLimit), now)
	if errors.Is(err, records.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// What is begun is ended, and noted, also when told to stop: else it would be
	// told twice.
	ctx = context.WithoutCancel(ctx)
	sending, cancel := context.WithTimeout(ctx, sendLimit)
	err = r.send.Send(sending, d.Target, message(d))
	cancel()
	noting, cancel := context.WithTimeout(ctx, noteLimit)
	defer cancel()
	return true, r.note(noting, d, err)
}

func message(d records.Delivery) Message {
	m := Message{
		ID: d.Alert.ID, Project: d.Alert.Project, ProjectID: d.Alert.ProjectID, Kind: d.Alert.Kind,
		State: d.Event, Text: d.Alert.Text, At: d.Alert.Opened.UTC(),
	}
	if d.Event == records.EventRecovered {
		m.At = d.Alert.Closed.UTC()
	}
	return m
}

func (r *Runner) note(ctx context.Context, d records.Delivery, failed error) error {
	now := r.options.Now()
	if failed == nil {
		return r.records.Delivered(ctx, d, now)
	}
	log := r.options.Log.With(zap.String("project", d.Alert.Project), zap.String("kind", d.Alert.Kind), zap.String("state", d.Event),
		zap.String("target", d.Target.ID), zap.Int("tries", d.Tries), zap.Error(failed))
	if d.Tries >= mostTries || now.Sub(message(d).At) > oldest {
		log.Error("an alert was not told: its target did not take it")
		return r.records.GiveUp(ctx, d, failed.Error(), now)
	}
	log.Warn("an alert is told later: its target did not take it")
	return r.records.PutOff(ctx, d, failed.Error(), now.Add(wait(d.Tries)), now.Add(firstWait))
}

// wait is how long to wait after so many tries.
func wait(tries int) time.Duration {
	if tries > 5 {
		return longWait
	}
	return min(firstWait<<(tries-1), longWait)
}
