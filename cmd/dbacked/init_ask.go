package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dbacked/dbacked/pkg/config"
)

// question asks for one setting.
type question struct {
	variable string
	text     string
	fallback func() string            // what is proposed when nothing is known; may be nil
	clean    func(string) string      // makes of what is typed what is meant; may be nil
	skip     func() bool              // whether it needs no answer now; may be nil
	secret   bool                     // what is typed is not shown
	check    func(value string) error // looks at the value alone; may be nil: its form is always looked at
}

// group asks questions, and again when test says what is wrong with the
// answers: there is nobody to ask, that is the end.
func (w *wizard) group(ctx context.Context, test func(context.Context) error, questions ...question) error {
	for {
		for _, q := range questions {
			if err := w.answer(ctx, q); err != nil {
				return err
			}
		}
		err := test(ctx)
		if err == nil || !w.asked || ctx.Err() != nil {
			return err
		}
		if errors.Is(err, errAgain) {
			continue
		}
		if !errors.Is(err, errAnother) {
			w.no(err)
		}
		for _, q := range questions {
			w.draft.settled[q.variable] = false
		}
	}
}

// answer settles one question.
func (w *wizard) answer(ctx context.Context, q question) error {
	d := w.draft
	for {
		if q.skip != nil && q.skip() {
			return nil
		}
		if d.values[q.variable] == "" && q.fallback != nil {
			d.values[q.variable] = q.fallback()
		}
		if !d.settled[q.variable] && w.asked {
			typed, err := w.typed(ctx, q)
			if err != nil {
				return err
			}
			if typed != "" {
				d.values[q.variable] = typed
			}
		}
		if q.clean != nil {
			d.values[q.variable] = q.clean(d.values[q.variable])
		}
		err := q.wrong(d)
		if err == nil {
			d.settled[q.variable] = true
			return nil
		}
		if !w.asked {
			return d.problemIs(settingOf(q.variable) + ": " + err.Error())
		}
		w.no(err)
		d.values[q.variable], d.settled[q.variable] = "", false
	}
}

// typed asks for an answer; an empty one is the proposal.
func (w *wizard) typed(ctx context.Context, q question) (string, error) {
	value := w.draft.values[q.variable]
	if !q.secret {
		return w.ask(ctx, prompt(q.text, shown(value)))
	}
	none := "none"
	if value != "" {
		none = "the one that is set"
	}
	secret, err := w.askSecret(ctx, fmt.Sprintf("%s (not shown; Enter: %s): ", q.text, none))
	return string(secret), err
}

// wrong looks at the answer by itself.
func (q question) wrong(d *draft) error {
	if err := d.wrongOf(q.variable); err != nil {
		return err
	}
	if q.check != nil {
		return q.check(d.values[q.variable])
	}
	return nil
}

// settingOf names a setting both ways.
func settingOf(variable string) string {
	for _, s := range config.Settings() {
		if s.Variable == variable {
			return s.String()
		}
	}
	return variable
}

func prompt(text, proposal string) string {
	if proposal == "" {
		return text + ": "
	}
	return fmt.Sprintf("%s [%s]: ", text, proposal)
}

// shown is a value as a proposal: nothing that does not fit.
func shown(value string) string {
	if len(value) > 80 || strings.Contains(value, "\n") {
		return "as it is"
	}
	return printable(strings.TrimPrefix(value, fileScheme))
}

// no says why an answer will not do.
func (w *wizard) no(err error) {
	text := err.Error()
	if wrong, ok := err.(*config.Error); ok { //nolint:errorlint // what is wrapped has more to say
		text = strings.Join(wrong.Problems, "\n     ")
	}
	w.say("  %s %s", w.mark(red, "no:"), text)
}

// good says that an answer is good.
func (w *wizard) good(format string, args ...any) {
	w.say("  %s %s", w.mark(green, "ok:"), fmt.Sprintf(format, args...))
}

// mark colours a word on standard error.
func (w *wizard) mark(color, word string) string {
	if !w.color || !w.live {
		return word
	}
	return color + word + reset
}

// agrees asks a question whose default is yes. Where nobody is asked, it was
// agreed to.
func (w *wizard) agrees(ctx context.Context, question string) (bool, error) {
	if !w.asked {
		return true, nil
	}
	for {
		answer, err := w.ask(ctx, question+" [Y/n] ")
		if err != nil {
			return false, err
		}
		switch strings.ToLower(answer) {
		case "", "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
		w.say("  y or n")
	}
}
