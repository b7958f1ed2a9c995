package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a run of dbacked on a terminal.
type terminal struct {
	*running
	master *os.File

	mu    sync.Mutex
	text  string        // what was shown since the last expect, without escapes
	more  chan struct{} // when there is more
	whole strings.Builder
	done  chan struct{} // when all is read
}

// escapes are what a terminal does not show.
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?<=>]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[=>()][0B]?)`)

// onTerminal starts dbacked on a terminal of its own.
func (b *bed) onTerminal(args ...string) *terminal {
	b.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	b.must(err)
	control := func(f func(fd int) error) {
		raw, err := master.SyscallConn()
		b.must(err)
		b.must(raw.Control(func(fd uintptr) { err = f(int(fd)) }))
		b.must(err)
	}
	var number int
	control(func(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0) })
	control(func(fd int) (err error) { number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN); return err })
	control(func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 140}) })
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	b.must(err)
	defer slave.Close()

	t := &terminal{master: master, more: make(chan struct{}, 1)}
	t.running = b.with("TERM", "xterm-256color").prepare(args...)
	t.cmd.Stdin, t.cmd.Stdout, t.cmd.Stderr = slave, slave, slave
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	t.launch()
	b.t.Cleanup(func() { master.Close() })
	t.done = make(chan struct{})
	go t.read()
	return t
}

func (t *terminal) read() {
	defer close(t.done)
	buf := make([]byte, 4096)
	for {
		n, err := t.master.Read(buf)
		t.mu.Lock()
		t.text += string(buf[:n])
		t.whole.Write(buf[:n])
		t.mu.Unlock()
		select {
		case t.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// expect awaits a text; what was shown before it is past.
func (t *terminal) expect(text string) {
	t.b.t.Helper()
	timeout := time.NewTimer(runTimeout)
	defer timeout.Stop()
	for {
		t.mu.Lock()
		shown := escapes.ReplaceAllString(t.text, "")
		at := strings.Index(shown, text)
		if at >= 0 {
			t.text = shown[at+len(text):]
		}
		t.mu.Unlock()
		if at >= 0 {
			return
		}
		select {
		case <-t.more:
		case <-timeout.C:
			t.b.t.Fatalf("%q is not shown, but %q", text, shown)
		}
	}
}

// types sends keys.
func (t *terminal) types(keys string) {
	t.b.t.Helper()
	_, err := t.master.WriteString(keys)
	t.b.must(err)
}

// exits awaits the end with a status.
func (t *terminal) exits(code int) {
	t.b.t.Helper()
	<-t.ended
	<-t.done
	if got := t.cmd.ProcessState.ExitCode(); got != code {
		t.b.t.Errorf("exit status %d instead of %d: %q", got, code, t.whole.String())
	}
}

const (
	ctrlC = "\x03"
	down  = "\x1b[B"
)

// TestKeygenAsks makes a key whose passphrase is typed.
func TestKeygenAsks(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	k := b.onTerminal("keygen")
	k.expect("Passphrase for the private key: ")
	k.types("\n")
	k.expect("an empty passphrase protects nothing")
	k.expect("Passphrase for the private key: ")
	k.types("one-secret\n")
	k.expect("Once more: ")
	k.types("another-secret\n")
	k.expect("the two differ")
	k.expect("Passphrase for the private key: ")
	k.types("one-secret\n")
	k.expect("Once more: ")
	k.types("one-secret\n")
	k.expect("fingerprint: ")
	k.exits(exitOK)
	if strings.Contains(k.whole.String(), "secret") {
		t.Errorf("the passphrase was shown: %q", k.whole.String())
	}
	b.write("passphrase", []byte("one-secret"))
	if !strings.Contains(string(b.read("dbacked-private.pem")), "ENCRYPTED") {
		t.Error("the private key is not encrypted")
	}

	k = b.onTerminal("keygen", "--private-key-path", "x.pem", "--public-key-path", "y.pem")
	k.expect("Passphrase for the private key: ")
	k.types("half" + ctrlC)
	k.exits(exitInterrupted)
	if left, _ := filepath.Glob(b.path("[xy].pem")); len(left) > 0 {
		t.Errorf("an interrupted keygen leaves %q", left)
	}
}

// TestRestoreAsks picks a backup with the arrow keys, and is asked before
// anything is written.
func TestRestoreAsks(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	older := b.backup()
	b.backup()
	target := b.emptyDatabase()
	b.must(os.WriteFile(b.path("storage/shop/"+b.list()[0]+"/manifest"), []byte("garbage"), 0o600)) // it cannot be picked
	b.backup()

	r := b.onTerminal("restore", "shop", "--db-name", target)
	r.expect("Which backup?")
	r.expect(b.db)
	r.types(ctrlC)
	r.exits(exitInterrupted)

	for answer, code := range map[string]int{"\n": exitRefused, "n\n": exitRefused, ctrlC: exitInterrupted} {
		r = b.onTerminal("restore", "shop", "--db-name", target)
		r.expect("Which backup?")
		r.types(down)
		r.types("\r")
		r.expect("backup    " + older)
		r.expect("Restore? [y/N] ")
		r.types(answer)
		r.exits(code)
		b.wantEmpty(target)
	}

	r = b.onTerminal("restore", "shop", older, "--db-name", target)
	r.expect("Restore? [y/N] ")
	r.types("y\n")
	r.expect("restored into " + target)
	r.exits(exitOK)

	r = b.onTerminal("restore", "shop", older, "--db-name", target, "--force")
	r.expect("Type the database's name to go on: ")
	r.types("y\n")
	r.expect("nothing was restored")
	r.exits(exitRefused)

	r = b.onTerminal("restore", "shop", "--raw-output")
	r.expect("Which backup?")
	r.types("\r")
	r.expect("would write a dump to the terminal")
	r.exits(exitUsage)

	r = b.onTerminal("remove", "shop", older)
	r.expect("for ever? [y/N] ")
	r.types("n\n")
	r.expect("nothing was removed")
	r.exits(exitRefused)
}

// TestBackupOnTerminal interrupts a backup whose progress is shown.
func TestBackupOnTerminal(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	r := b.onTerminal("check", "shop")
	r.expect("storage")
	r.exits(exitOK)
	if !strings.Contains(r.whole.String(), green+"ok") {
		t.Errorf("check is not in colour: %q", r.whole.String())
	}
	b.fifo("here")
	b.fifo("go")
	b.wrap(b.e.dump, stages["before the dump"])
	r = b.onTerminal("backup", "shop")
	tool := watch(t, atoi(t, r.reached(b.path("here"))))
	r.expect("dump: ")
	r.types(ctrlC)
	r.expect("dbacked: interrupted")
	r.exits(exitInterrupted)
	tool.ends(t)
	b.wantComplete(nil)
}
