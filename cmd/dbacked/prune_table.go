package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
)

// prunedRow is a backup as --json prints it.
type prunedRow struct {
	ID     string    `json:"id"`
	Place  string    `json:"storage,omitempty"` // of several places, the one it is in
	Date   time.Time `json:"date"`              // the storage's
	Stored int64     `json:"storedBytes"`
	Action string    `json:"action"`          // of the plan: "keep", "remove" or "alert"
	Result string    `json:"result"`          // what became of it; in a dry run the action
	Rules  []string  `json:"rules,omitempty"` // that keep it
	Reason string    `json:"reason"`
	Error  string    `json:"error,omitempty"` // of the storage
}

// rows joins the plan with what was done of it.
func (p *pruneCommand) rows(plan catalog.Pruning, done []catalog.Pruned, place string) []prunedRow {
	results := map[string]catalog.Pruned{}
	for _, d := range done {
		results[d.ID] = d
	}
	var rows []prunedRow
	for _, d := range plan.Decisions {
		row := prunedRow{
			ID: d.ID, Place: place, Date: d.Date.UTC(), Stored: d.Stored, Action: string(d.Action), Result: string(d.Action), Rules: d.Rules, Reason: d.Reason,
		}
		if !p.DryRun {
			row.Result = outcome(d, results)
		}
		if err := results[d.ID].Err; err != nil {
			row.Error = err.Error()
		}
		rows = append(rows, row)
	}
	return rows
}

func outcome(d catalog.Decision, results map[string]catalog.Pruned) string {
	done, tried := results[d.ID]
	switch {
	case tried:
		return string(done.Result)
	case d.Action == catalog.ActionRemove:
		return "not removed"
	case d.Action == catalog.ActionKeep:
		return "kept"
	}
	return string(d.Action)
}

func (p *pruneCommand) print(a *app, rows []prunedRow, zone *time.Location) error {
	if p.JSON {
		enc := json.NewEncoder(a.out)
		for _, row := range rows {
			if err := enc.Encode(row); err != nil {
				return err
			}
		}
		return nil
	}
	return writePruned(a.out, rows, zone)
}

func writePruned(w io.Writer, rows []prunedRow, zone *time.Location) error {
	if len(rows) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "BACKUP\tDATE\tSTORED\tRESULT\tREASON")
	for _, row := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", row.ID, row.Date.In(zone).Format(time.DateTime), size(row.Stored), row.Result, printable(row.Reason))
	}
	return t.Flush()
}
