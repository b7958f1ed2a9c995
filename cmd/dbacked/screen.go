package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// screen is what a person sees: data on out, all else on err.
type screen struct {
	in       io.Reader
	out, err io.Writer

	asks  bool // in and err are a terminal: questions can be asked
	live  bool // err is a terminal: a line can be rewritten
	shown bool // out is a terminal, where binary data would do harm
	color bool // out is a terminal that shows colours
}

func newScreen(in, out, err *os.File) *screen {
	tty := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	return &screen{
		in: in, out: out, err: err,
		asks:  tty(in) && tty(err),
		live:  tty(err) && os.Getenv("TERM") != "dumb",
		shown: tty(out),
		color: tty(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
	}
}

// say writes a line for people.
func (s *screen) say(format string, args ...any) {
	fmt.Fprintf(s.err, format+"\n", args...)
}

// warn writes a line that a person should not overlook.
func (s *screen) warn(text string) { s.say("warning: %s", text) }

// fail reports the error that ended a command, with a hint where there is one.
func (s *screen) fail(err error) {
	s.say("dbacked: %v", err)
	if h := hint(err); h != "" {
		s.say("hint: %s", h)
	}
}

// printable is a text that somebody else wrote, such as a database's name in a
// manifest, without what would move about on a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// The colours of words on a terminal.
const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	reset  = "\x1b[0m"
)

// paint colours a word for out.
func (s *screen) paint(color, word string) string {
	if !s.color {
		return word
	}
	return color + word + reset
}

// errNoTerminal says that there is nobody to ask.
var errNoTerminal = errors.New("there is no terminal to ask on")

// confirm asks a question whose default is no.
func (s *screen) confirm(ctx context.Context, question string) (bool, error) {
	answer, err := s.ask(ctx, question+" [y/N] ")
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", err
}

// ask asks for a line.
func (s *screen) ask(ctx context.Context, prompt string) (string, error) {
	if !s.asks {
		return "", errNoTerminal
	}
	fmt.Fprint(s.err, prompt)
	line, err := await(ctx, func() (string, error) { return bufio.NewReader(s.in).ReadString('\n') })
	if err != nil && (line == "" || ctx.Err() != nil) {
		s.say("")
		return "", errInterrupted
	}
	return strings.TrimSpace(line), nil
}

// await returns what read does, or the end of ctx: a read of a terminal cannot
// be cancelled, and Ctrl-C must work all the same.
func await[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type reply struct {
		value T
		err   error
	}
	got := make(chan reply, 1)
	go func() {
		value, err := read()
		got <- reply{value, err}
	}()
	select {
	case r := <-got:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// askSecret asks for a line that is not shown.
func (s *screen) askSecret(ctx context.Context, prompt string) ([]byte, error) {
	f, ok := s.in.(*os.File)
	if !ok || !s.asks {
		return nil, errNoTerminal
	}
	fd := int(f.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	defer term.Restore(fd, state)
	if err := silence(fd); err != nil { // before the prompt, so that who types at once is not seen
		return nil, err
	}
	fmt.Fprint(s.err, prompt)
	secret, err := await(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	s.say("")
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		return nil, errInterrupted
	}
	return secret, err
}

// silence keeps a terminal from showing what is typed.
func silence(fd int) error {
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	settings.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(fd, unix.TCSETS, settings)
}
