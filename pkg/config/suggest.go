package config

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest returns the candidate with the smallest edit distance to name, when it is near enough to be meant.
func nearest(name string, candidates []string) (string, bool) {
	best, bestDistance := "", 1+max(2, len(name)/3)
	for _, candidate := range candidates {
		if d := levenshtein.ComputeDistance(strings.ToUpper(name), strings.ToUpper(candidate)); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best, best != ""
}

// isOwn tells a name that can only be meant for dbacked, in upper case or not.
func isOwn(name string) bool {
	upper := strings.ToUpper(name)
	return strings.HasPrefix(upper, prefix) && !strings.HasPrefix(upper, testPrefix)
}

// unknownText says that a name is no setting, and which one it nearly is.
func unknownText(name string, settings []Setting) string {
	var known []string
	for _, s := range settings {
		known = append(known, s.Variable)
	}
	if near, ok := nearest(name, known); ok {
		return fmt.Sprintf("%s is not a setting, did you mean %s?", name, near)
	}
	return fmt.Sprintf("%s is not a setting: see \"dbacked --help\" for those there are", name)
}
