package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"charm.land/huh/v2"

	"github.com/dbacked/dbacked/pkg/catalog"
)

// pickFrom lets a person choose a backup.
func (a *app) pickFrom(ctx context.Context, entries []catalog.Entry) (catalog.Entry, error) {
	var readable []catalog.Entry
	var labels []string
	for _, e := range entries {
		if e.Manifest == nil {
			continue // it cannot be restored; list shows it
		}
		readable, labels = append(readable, e), append(labels, label(e))
	}
	i, err := a.pickOne(ctx, labels)
	if err != nil {
		return catalog.Entry{}, err
	}
	return readable[i], nil
}

// pickOne lets a person choose one of some backups with the arrow keys.
func (a *app) pickOne(ctx context.Context, labels []string) (int, error) {
	terminal, ok := a.in.(*os.File)
	if !ok {
		return 0, errNoTerminal
	}
	if len(labels) == 0 {
		return 0, fmt.Errorf("%w that can be read", catalog.ErrNoBackup)
	}
	var options []huh.Option[int]
	for i, l := range labels {
		options = append(options, huh.NewOption(l, i))
	}
	chosen := -1
	pick := huh.NewSelect[int]().Title("Which backup?").Options(options...).Value(&chosen).Height(min(len(options)+2, 15))
	in := &listInput{File: terminal}
	defer in.over.Store(true)
	form := huh.NewForm(huh.NewGroup(pick)).WithInput(in).WithOutput(a.err).WithAccessible(os.Getenv("ACCESSIBLE") != "")
	err := form.RunWithContext(ctx)
	switch {
	case errors.Is(err, huh.ErrUserAborted):
		return 0, errInterrupted
	case err != nil:
		return 0, fmt.Errorf("choosing a backup: %w; name one, or use --last-backup", err)
	case chosen < 0: // an error must never choose the first one
		return 0, errInterrupted
	}
	return chosen, nil
}

// listInput is the terminal for as long as the list is shown. The list leaves a
// reader behind that waits for more keys; it must not take the answer to the
// next question.
type listInput struct {
	*os.File
	over atomic.Bool
}

func (l *listInput) Read(p []byte) (int, error) {
	if l.over.Load() {
		return 0, io.EOF
	}
	return l.File.Read(p)
}

func label(e catalog.Entry) string {
	plain, _ := totals(e.Manifest)
	text := fmt.Sprintf("%s  %-16s %9s  %s", e.Manifest.Started.Local().Format("Mon 2006-01-02 15:04"), age(e.Manifest.Started), size(plain), printable(e.Manifest.Database))
	if e.Proof != nil {
		text += "  (origin not proved)"
	}
	if e.Displaced != nil && e.Displaced.Newest.Removed {
		text += "  (removed)"
	}
	return text
}
