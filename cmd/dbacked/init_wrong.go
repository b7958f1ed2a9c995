package main

import (
	"errors"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/scheduler"
)

// wrong says what is wrong with the values that are there; that others are
// missing does not matter yet.
func (d *draft) wrong() error {
	var problems []string
	if d.values["DBACKED_STORAGE"] != "" && d.values["DBACKED_APIKEY"] != "" {
		problems = append(problems, "DBACKED_APIKEY (--apikey) and DBACKED_STORAGE (--storage) are both given: backups go to a service or to a storage of yours: leave one out")
	}
	for _, s := range config.Settings() {
		if p := d.problem(s.Variable); p != "" {
			problems = append(problems, s.String()+": "+p)
		}
	}
	if d.name != "" && !config.ValidName(d.name) {
		_, err := d.load(config.NeedInstance)
		return err
	}
	if len(problems) == 0 {
		return nil
	}
	return d.problemIs(problems...)
}

func (d *draft) problemIs(problems ...string) error {
	return &config.Error{Instance: d.name, Problems: problems}
}

// problem is what is wrong with one value, "" when there is none.
func (d *draft) problem(variable string) string {
	if d.values[variable] == "" {
		return ""
	}
	if variable == "DBACKED_SCHEDULE" { // which the configuration leaves to the scheduler
		if _, err := scheduler.Parse(d.values[variable], time.UTC); err != nil {
			return err.Error()
		}
	}
	environ := []string{"DBACKED_CONFIG_DIRECTORY=" + nowhere, variable + "=" + d.values[variable]}
	if variable != "DBACKED_DB_TYPE" && d.values["DBACKED_DB_TYPE"] != "" {
		environ = append(environ, "DBACKED_DB_TYPE="+d.values["DBACKED_DB_TYPE"])
	}
	if variable == "DBACKED_API_URL" || variable == "DBACKED_POLL_INTERVAL" { // which are looked at with a key alone
		environ = append(environ, "DBACKED_APIKEY=x")
	}
	_, err := config.Load("x", config.Flags{}, environ, everything)
	wrong, ok := errors.AsType[*config.Error](err)
	if !ok {
		return ""
	}
	for _, p := range wrong.Problems {
		if before, reason, found := strings.Cut(p, ": "); found && strings.HasPrefix(before, variable) && !strings.HasSuffix(before, "missing") {
			return reason
		}
	}
	return ""
}

// wrongOf is problem, as an error.
func (d *draft) wrongOf(variable string) error {
	if problem := d.problem(variable); problem != "" {
		return errors.New(problem)
	}
	return nil
}
