package config

import "strings"

// NormalizeArgs returns a command line (without the program's name) that kong can parse although the value of
// --public-key or --dumper-options begins with a dash: such a value is joined to its flag with "=". For
// --public-key that is PEM text, for --dumper-options any argument that is not itself one of dbacked's flags.
// Nothing after "--" changes.
//
//	--public-key "-----BEGIN PUBLIC KEY-----…"  →  --public-key=-----BEGIN PUBLIC KEY-----…
//	--dumper-options --no-owner                 →  --dumper-options=--no-owner
func NormalizeArgs(args []string) []string {
	own := map[string]bool{}
	for _, s := range Settings() {
		own[s.Flag] = true
	}
	normal := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(normal, args[i:]...)
		}
		if i+1 < len(args) && isValueOf(args[i], args[i+1], own) {
			normal = append(normal, args[i]+"="+args[i+1])
			i++
			continue
		}
		normal = append(normal, args[i])
	}
	return normal
}

// isValueOf tells whether next, which begins with a dash, is meant as the value of flag.
func isValueOf(flag, next string, own map[string]bool) bool {
	switch flag {
	case "--public-key":
		return strings.HasPrefix(next, "-----BEGIN")
	case "--dumper-options":
		name, _, _ := strings.Cut(next, "=")
		return strings.HasPrefix(next, "-") && next != "--" && !own[name]
	}
	return false
}
