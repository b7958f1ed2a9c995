package config

import (
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const (
	pemBegin  = "-----BEGIN "
	pemEnd    = "-----END "
	pemDashes = "-----"
	// pemWidth is the length of a line of base64.
	pemWidth = 64
)

// looksLikePEM tells PEM text from a file's path.
func looksLikePEM(text string) bool { return strings.Contains(text, pemDashes+"BEGIN") }

// repairPEM returns the PEM blocks in text, written as PEM should be: in environments and env files newlines
// often became a literal \n or a blank, and lines got indented. What stands outside of the blocks is dropped.
// Errors never hold the text, which may be a private key.
func repairPEM(text string) (string, error) {
	text = strings.NewReplacer(`\r`, "", `\n`, "\n", "\r", "").Replace(text)
	var whole strings.Builder
	for {
		_, rest, found := strings.Cut(text, pemBegin)
		if !found {
			break
		}
		label, rest, found := strings.Cut(rest, pemDashes)
		if !found || strings.ContainsAny(label, "\n-") {
			return "", errors.New("the first line of the PEM text is damaged: it must read -----BEGIN PUBLIC KEY----- or alike")
		}
		body, rest, found := strings.Cut(rest, pemEnd+label+pemDashes)
		if !found {
			return "", fmt.Errorf("the PEM text is cut, there is no \"%s%s%s\": in an env file, "+
				"put a value of several lines in double quotes", pemEnd, label, pemDashes)
		}
		block := pemBegin + label + pemDashes + "\n" + repairBody(body) + pemEnd + label + pemDashes + "\n"
		if parsed, _ := pem.Decode([]byte(block)); parsed == nil || len(parsed.Bytes) == 0 {
			return "", fmt.Errorf("the PEM block %q is damaged: what it holds is not base64", label)
		}
		whole.WriteString(block)
		text = rest
	}
	if whole.Len() == 0 {
		return "", errors.New("there is no PEM block in it (-----BEGIN …----- to -----END …-----)")
	}
	return whole.String(), nil
}

// repairBody writes what stands between the first and the last line: the headers of a key in the old encrypted
// form (Proc-Type, DEK-Info: a name, a blank and one word each), then base64 in lines.
func repairBody(body string) string {
	var out, data strings.Builder
	words := strings.Fields(body)
	for i := 0; i < len(words); i++ {
		if strings.HasSuffix(words[i], ":") && i+1 < len(words) {
			fmt.Fprintf(&out, "%s %s\n", words[i], words[i+1])
			i++
			continue
		}
		data.WriteString(words[i])
	}
	if out.Len() > 0 {
		out.WriteByte('\n')
	}
	rest := data.String()
	for ; len(rest) > pemWidth; rest = rest[pemWidth:] {
		out.WriteString(rest[:pemWidth] + "\n")
	}
	if rest != "" {
		out.WriteString(rest + "\n")
	}
	return out.String()
}

// holdsPrivateKey tells whether a block of repaired PEM text is a private key of any kind.
func holdsPrivateKey(text string) bool { return strings.Contains(text, "PRIVATE KEY"+pemDashes) }
