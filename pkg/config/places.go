package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Places are all that backups go to.
type Places []Storage

// String returns the places as they are configured, without secrets.
func (p Places) String() string {
	urls := make([]string, len(p))
	for i, s := range p {
		urls[i] = s.String()
	}
	return strings.Join(urls, ",")
}

// At returns the configuration of an instance that has but one of its places.
func (c *Config) At(s Storage) *Config {
	one := *c
	one.Storage, one.Places = s, Places{s}
	return &one
}

// OrphanAge is the age from which what another machine left is removed in any
// place, 0 if that was not given.
func (c *Config) OrphanAge() (age time.Duration) {
	for _, s := range c.Places {
		age = max(age, s.OrphanAge)
	}
	return age
}

// From is At the place that text names: its URL, how only that begins (such as
// "s3"), or its number, from 1. An empty text changes nothing.
func (c *Config) From(text string) (*Config, error) {
	if text == "" {
		return c, nil
	}
	var found Places
	for i, s := range c.Places {
		if s.String() == text || strconv.Itoa(i+1) == text {
			return c.At(s), nil
		}
		if strings.HasPrefix(s.String(), text) {
			found = append(found, s)
		}
	}
	if len(found) == 1 {
		return c.At(found[0]), nil
	}
	problem := "is none of its places"
	if len(found) > 1 {
		problem = "could be more than one of its places"
	}
	return nil, &Error{Instance: c.Instance, Problems: []string{fmt.Sprintf(
		"--from %s %s: give a URL, how it begins, or its number in %s", oneLine(text), problem, c.Places)}}
}

// apart refuses a place that is given twice, or that lies in another: what is
// done in one must not touch the other.
func (l *loader) apart(g given) {
	for i, a := range l.config.Places {
		for _, b := range l.config.Places[i+1:] {
			switch inA, inB := strings.HasPrefix(b.root(), a.root()), strings.HasPrefix(a.root(), b.root()); {
			case a.Scheme == "" || b.Scheme == "": // wrong, which was said
			case inA && inB:
				l.wrong(varStorage, g, "%s is there twice", a)
			case inA:
				l.wrong(varStorage, g, "%s lies in %s: take places that are apart", b, a)
			case inB:
				l.wrong(varStorage, g, "%s lies in %s: take places that are apart", a, b)
			}
		}
	}
}

// root begins with the root of every place that the storage lies in.
func (s Storage) root() string { return strings.TrimSuffix(s.String(), "/") + "/" }
