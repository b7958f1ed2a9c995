package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
)

// inService asks the agent, if it runs, and returns what fails there and not
// here.
func inService(ctx context.Context, c *config.Config, running *runningAgent, here []dumper.Finding) []dumper.Finding {
	const subject = "in the service"
	inside, err := running.check(ctx)
	if errors.Is(err, errNotRunning) {
		return nil
	}
	if err != nil {
		return []dumper.Finding{{Level: dumper.Warn, Subject: subject, Message: err.Error()}}
	}
	found := onlyThere(c, here, inside)
	if len(found) == 0 {
		return []dumper.Finding{{Level: dumper.OK, Subject: subject, Message: "the running agent finds the same"}}
	}
	return found
}

// onlyThere picks what fails inside of the service alone, and says what lets it
// through.
func onlyThere(c *config.Config, here []dumper.Finding, inside []agent.Finding) []dumper.Finding {
	bad := map[string]bool{}
	for _, f := range here {
		bad[f.Subject] = bad[f.Subject] || f.Level == dumper.Fail
	}
	var found []dumper.Finding
	for _, f := range inside {
		if f.Level != string(dumper.Fail) || bad[f.Subject] {
			continue
		}
		fix := f.Fix
		if drop := dropIn(c); drop != "" {
			fix = drop
		}
		found = append(found, dumper.Finding{
			Level: dumper.Fail, Subject: "in the service, " + f.Subject, Message: printable(f.Message) + " (and it works outside of it)", Fix: fix,
		})
	}
	return found
}

// dropIn says what to write so that the service sees the files that are
// configured and hidden from it; empty when there are none. It is what init
// writes.
func dropIn(c *config.Config) string {
	var lines []string
	for _, text := range dropIns(c) {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			// A mount is waited for in [Unit]; the rest belongs to [Service].
			if strings.Contains(line, "=") && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "RequiresMountsFor=") && !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) == 0 {
		return ""
	}
	slices.Sort(lines)
	return fmt.Sprintf("systemctl edit dbacked@%s, write [Service] and below it %s, then systemctl restart dbacked@%s",
		c.Instance, strings.Join(lines, " and "), c.Instance)
}

// hiddenFromService tells whether the unit's sandbox hides a path.
func hiddenFromService(path string) bool {
	for _, dir := range []string{"/home", "/root", "/run/user", "/tmp", "/var/tmp"} {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}
