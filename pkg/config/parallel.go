package config

import (
	"runtime"
	"strconv"
	"time"
)

const (
	leastJobs  = 2 // by default
	mostJobs   = 64
	blockLimit = time.Minute
)

func (l *loader) resolveParallel() {
	p := &l.config.Parallel
	p.Jobs = l.jobs()
	p.BlockLimit = l.blockLimit()
	p.LargeTable = l.bytes(varLargeTable, 1)
	p.CountRows = l.yes(varCountRows)
}

func (l *loader) jobs() int {
	g, ok := l.get(varJobs)
	if !ok {
		return min(max(leastJobs, runtime.GOMAXPROCS(0)/2), mostJobs)
	}
	n, err := strconv.Atoi(g.text())
	if err != nil || n < 1 || n > mostJobs {
		l.wrong(varJobs, g, "%q is no number of jobs: use 1 to %d", g.text(), mostJobs)
	}
	return n
}

// blockLimit may be none, unlike other waits: it is others' wait and not this program's.
func (l *loader) blockLimit() time.Duration {
	g, ok := l.get(varBlockLimit)
	if !ok {
		return blockLimit
	}
	d, err := time.ParseDuration(g.text())
	switch {
	case err != nil:
		l.wrong(varBlockLimit, g, "%q is not a duration: write 30s, 5m or 1h30m", g.text())
	case d < 0:
		l.wrong(varBlockLimit, g, "%q is below zero: use 0 for no limit", g.text())
	}
	return d
}

// yes says whether a setting is true; it is false when it was not given.
func (l *loader) yes(variable string) bool {
	g, ok := l.get(variable)
	if !ok {
		return false
	}
	switch g.text() {
	case "true":
		return true
	case "false":
		return false
	}
	l.wrong(variable, g, "%q is neither: use true or false", g.text())
	return false
}
