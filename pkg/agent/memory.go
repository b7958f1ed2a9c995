package agent

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// recall reads the last runs of before. They are for people: without them only
// the page is poorer.
func (a *Agent) recall() {
	if a.options.RunsFile == "" {
		return
	}
	text, err := os.ReadFile(a.options.RunsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var runs []Run
	if err == nil {
		err = json.Unmarshal(text, &runs)
	}
	if err != nil {
		a.options.Log.Warn("the last runs are forgotten", zap.Error(err))
		return
	}
	for i := range runs {
		runs[i].Number = 0 // those count from this agent's start
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.runs = runs[:min(len(runs), maxRuns)]
}

// remember writes the last runs.
func (a *Agent) remember() {
	if a.options.RunsFile == "" {
		return
	}
	a.mu.Lock()
	text, err := json.Marshal(a.state.runs)
	a.mu.Unlock()
	if err == nil {
		err = replace(a.options.RunsFile, text)
	}
	if err != nil {
		a.options.Log.Warn("the last runs could not be remembered", zap.Error(err))
	}
}

// replace writes a file whole, or leaves the old one.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // after the rename there is none
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
