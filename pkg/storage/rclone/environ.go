package rclone

import (
	"regexp"
	"slices"
	"strings"
)

// unwanted would change what rclone prints or does in a way that is not expected
// here.
var unwanted = []string{
	"RCLONE_DRY_RUN", "RCLONE_INTERACTIVE", "RCLONE_LOG_FILE", "RCLONE_LOG_LEVEL", "RCLONE_PROGRESS", "RCLONE_QUIET",
	"RCLONE_USE_JSON_LOG", "RCLONE_VERBOSE",
}

// secretName tells the variables whose values are not to be printed.
var secretName = regexp.MustCompile(`(?i)pass|secret|token|key|auth|credential`)

// shortestSecret is what is looked for in rclone's words: less would strike out
// too much.
const shortestSecret = 4

// environment is what rclone gets, and what in it is secret.
func environment(o Options) (environ, secrets []string) {
	for _, assignment := range o.Environ {
		name, value, _ := strings.Cut(assignment, "=")
		if slices.Contains(unwanted, name) || name == "RCLONE_CONFIG" && o.Config != "" {
			continue
		}
		environ = append(environ, assignment)
		if secretName.MatchString(name) && len(value) >= shortestSecret {
			secrets = append(secrets, value)
		}
	}
	if o.Config != "" {
		environ = append(environ, "RCLONE_CONFIG="+o.Config)
	}
	// The longer ones first: one may hold another.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return append(environ, "RCLONE_ASK_PASSWORD=false"), secrets
}

var (
	query    = regexp.MustCompile(`\?[^\s"']+`)
	userinfo = regexp.MustCompile(`://[^\s/"'@]+@`)
	stamp    = regexp.MustCompile(`(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d `)
	level    = regexp.MustCompile(`(?m)^(ERROR|NOTICE|CRITICAL|Fatal error)\s*:\s*(:\s*)?`)
)

// clean makes one line of what rclone printed, without secrets.
func (s *Store) clean(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "…")
	}
	text = query.ReplaceAllString(userinfo.ReplaceAllString(text, "://…@"), "?…")
	text = level.ReplaceAllString(stamp.ReplaceAllString(text, ""), "")
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.ToValidUTF8(strings.TrimSpace(line), "?")
		if line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if len(lines) > 3 { // the last say why
		lines = lines[len(lines)-3:]
	}
	return strings.Join(lines, "; ")
}
