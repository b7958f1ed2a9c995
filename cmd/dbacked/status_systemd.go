package main

import (
	"context"
	"os/exec"
	"strings"
	"time"
)

// unit is what systemd knows of an instance's service. Without systemd, and
// without the service's unit file, all is empty.
type unit struct {
	Active, Sub string
	Result      string // why it ended
	Status      string // with which exit status or signal
}

// how is how the service ended.
func (u unit) how() string {
	if u.Result == "exit-code" {
		text := "exit status " + u.Status
		if u.Status == "78" {
			text += ", the configuration is wrong"
		}
		return text
	}
	return u.Result
}

// showUnits asks systemd about the services of instances. It starts nothing.
func showUnits(ctx context.Context, names []string) map[string]unit {
	path, err := exec.LookPath("systemctl")
	if err != nil || len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*answerLimit)
	defer cancel()
	args := []string{"show", "--no-pager", "-p", "Id,LoadState,ActiveState,SubState,Result,ExecMainStatus", "--"}
	for _, name := range names {
		args = append(args, "dbacked@"+name+".service")
	}
	show := exec.CommandContext(ctx, path, args...)
	show.WaitDelay = time.Second
	out, err := show.Output()
	if err != nil {
		return nil // this machine was not booted with systemd
	}
	return parseUnits(string(out))
}

// parseUnits reads the output of systemctl show: a paragraph a unit.
func parseUnits(text string) map[string]unit {
	units := map[string]unit{}
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		p := map[string]string{}
		for line := range strings.Lines(paragraph) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			p[key] = value
		}
		name := strings.TrimSuffix(strings.TrimPrefix(p["Id"], "dbacked@"), ".service")
		if name != "" && p["LoadState"] == "loaded" {
			units[name] = unit{Active: p["ActiveState"], Sub: p["SubState"], Result: p["Result"], Status: p["ExecMainStatus"]}
		}
	}
	return units
}
