package config

import (
	"errors"
	"strings"
)

var errOpenQuote = errors.New("a quote is opened and never closed")

// splitWords splits text into words as a shell does: blanks separate, single quotes keep all, double quotes
// keep all but \" \\ \$ and \`, a backslash outside keeps the next character. Nothing is expanded.
func splitWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		escapes := c == '\\' && i+1 < len(text) &&
			(quote == 0 || quote == '"' && isIn(escapable, text[i+1]))
		switch {
		case escapes:
			i++
			inWord = true
			word.WriteByte(text[i])
		case quote == c && c != 0:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, inWord = c, true
		case quote == 0 && isIn(blanks, c):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			inWord = true
			word.WriteByte(c)
		}
	}
	if quote != 0 {
		return nil, errOpenQuote
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
