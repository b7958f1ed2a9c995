package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/config"
)

// answerLimit is how long an agent may take to answer.
const answerLimit = 2 * time.Second

// States of an instance whose agent did not answer, beside those of package
// agent.
const (
	stateStopped     = "stopped"     // no agent is running
	stateFailed      = "failed"      // its service ended with an error, and is not started again
	stateRestarting  = "restarting"  // its service ended with an error, and is started again
	stateUnreachable = "unreachable" // the agent may run, and cannot be asked
)

// seen is an instance, as it was found.
type seen struct {
	agent.Status
	answered bool // the agent itself said so; else only instance, state and problem are known
}

// MarshalJSON leaves out what is not known.
func (s seen) MarshalJSON() ([]byte, error) {
	if s.answered {
		return json.Marshal(s.Status)
	}
	return json.Marshal(struct {
		Version  int    `json:"version"`
		Instance string `json:"instance"`
		State    string `json:"state"`
		Healthy  bool   `json:"healthy"`
		Problem  string `json:"problem"`
	}{agent.StatusVersion, s.Instance, s.State, false, s.Problem})
}

// findInstances names the instances that are configured, or whose agent runs.
func findInstances(configDirectory, runDirectory string) ([]string, error) {
	var names []string
	for _, place := range []struct{ directory, suffix string }{{configDirectory, ".env"}, {runDirectory, ".sock"}} {
		files, err := os.ReadDir(place.directory)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("looking for instances: %w; try: sudo dbacked status", err)
		}
		for _, f := range files {
			name, ok := strings.CutSuffix(f.Name(), place.suffix)
			if ok && config.ValidName(name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// mustExist refuses a name of which there is no trace.
func mustExist(name, configDirectory, runDirectory string) error {
	for _, path := range []string{filepath.Join(configDirectory, name+".env"), filepath.Join(runDirectory, name+".sock")} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	others := "there is no instance yet"
	if names, err := findInstances(configDirectory, runDirectory); err == nil && len(names) > 0 {
		others = "there are: " + strings.Join(names, ", ")
	}
	return &config.Error{Instance: name, Problems: []string{fmt.Sprintf(
		"%s has no %s.env, and no agent of that name listens in %s; %s; sudo dbacked init %s makes it", configDirectory, name, runDirectory, others, name)}}
}

// lookAt asks all agents at once, and systemd about those that do not answer.
func lookAt(ctx context.Context, runDirectory string, names []string) []seen {
	all := make([]seen, len(names))
	errs := make([]error, len(names))
	var asking sync.WaitGroup
	for i, name := range names {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, answerLimit)
			defer cancel()
			all[i].Status, errs[i] = newRunningAgent(runDirectory, name).status(ctx)
			all[i].answered = errs[i] == nil
		})
	}
	asking.Wait()
	var silent []string
	for i, name := range names {
		if errs[i] != nil {
			silent = append(silent, name)
		}
	}
	units := showUnits(ctx, silent)
	for i, name := range names {
		if errs[i] != nil {
			state, problem := guess(name, errs[i], units[name])
			all[i].Status = agent.Status{Instance: name, State: state, Problem: problem}
		}
		all[i].Instance = name // of its socket, whatever the agent thinks
	}
	return all
}

// guess says how an instance is whose agent did not answer.
func guess(name string, err error, u unit) (state, problem string) {
	journal := "journalctl -u dbacked@" + name
	switch {
	case u.Active == "failed":
		return stateFailed, fmt.Sprintf("the service failed (%s); no backups are made: %s -n 50", u.how(), journal)
	case u.Sub == "auto-restart":
		return stateRestarting, fmt.Sprintf("the service ended (%s) and is started again soon: %s -n 50", u.how(), journal)
	case u.Active == "activating":
		return agent.StateStarting, "the service is starting: " + journal + " -f"
	case u.Active == "deactivating":
		return agent.StateStopping, "the service is stopping: " + journal + " -f"
	case u.Active == "inactive":
		return stateStopped, "the service is stopped; no backups are made: sudo systemctl enable --now dbacked@" + name
	case errors.Is(err, fs.ErrPermission):
		return stateUnreachable, "its socket is open to root and the group dbacked only: sudo dbacked status " + name
	case errors.Is(err, context.DeadlineExceeded):
		return stateUnreachable, fmt.Sprintf("no answer within %s: %s -n 50", answerLimit, journal)
	case errors.Is(err, errNotRunning) && u.Active == "active":
		return stateUnreachable, "the service runs, and nothing listens on its socket: sudo systemctl restart dbacked@" + name
	case errors.Is(err, errNotRunning):
		return stateStopped, "no agent is running; no backups are made: sudo systemctl enable --now dbacked@" + name + " (without systemd: dbacked agent " + name + ")"
	}
	return stateUnreachable, err.Error()
}
