package storage

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of names, in bytes. A file system allows 255 for an element; the rest
// is left for what a store appends while an object is unfinished.
const (
	maxName    = 1024
	maxElement = 200
)

// CheckName says whether every store can hold an object of that name: valid
// UTF-8 without control characters, at most 1024 bytes, made of elements of 1
// to 200 bytes that are joined by "/", hold no backslash and do not begin with
// a dot (such names are the store's own). Spaces, quotes and emoji are fine.
func CheckName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("object name of %d bytes: at most %d are possible", len(name), maxName)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || strings.Contains(name, `\`) {
		return fmt.Errorf("object name %q: it holds a control character, a backslash or invalid UTF-8", name)
	}
	for element := range strings.SplitSeq(name, "/") {
		if err := checkElement(element); err != nil {
			return fmt.Errorf("object name %q: %w", name, err)
		}
	}
	return nil
}

func checkElement(element string) error {
	switch {
	case element == "":
		return fmt.Errorf("an element is empty")
	case element[0] == '.':
		return fmt.Errorf("the element %q begins with a dot", element)
	case len(element) > maxElement:
		return fmt.Errorf("an element has %d bytes: at most %d are possible", len(element), maxElement)
	}
	return nil
}
