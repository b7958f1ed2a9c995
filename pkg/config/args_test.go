package config

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// cli is a program as cmd builds it: a command that embeds what it needs.
type cli struct {
	Backup struct {
		Name string `arg:"" optional:""`
		DatabaseFlags
		StorageFlags
		SealFlags
		OpenFlags
		TrustFlags
		TimeoutFlags
		JobsFlags
		SnapshotFlags
		ScheduleFlags
		KeepFlags
	} `cmd:""`
	CommonFlags
}

// parse runs real kong over a command line.
func parse(t *testing.T, args ...string) (cli, string, error) {
	t.Helper()
	var c cli
	var out bytes.Buffer
	parser, err := kong.New(&c, kong.Name("dbacked"), kong.Writers(&out, io.Discard), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(NormalizeArgs(append([]string{"backup"}, args...)))
	return c, out.String(), err
}

func TestPublicKeyOnTheCommandLine(t *testing.T) {
	a, b := publicPEM(t), publicPEM(t)
	for _, args := range [][]string{
		{"--public-key", a, "shop"},
		{"--public-key=" + a, "shop"},
		{"shop", "--public-key", a},
		{"shop", "--public-key", strings.ReplaceAll(a, "\n", " ")},
	} {
		c, _, err := parse(t, args...)
		if err != nil || c.Backup.Name != "shop" {
			t.Errorf("%q: %v, name %q", args, err, c.Backup.Name)
			continue
		}
		loaded := mustLoad(t, setup{need: NeedPublicKey, flags: Flags{SealFlags: c.Backup.SealFlags}})
		if loaded.Keys.PublicKeys != a {
			t.Errorf("%q: got %q", args, loaded.Keys.PublicKeys)
		}
	}
	c, _, err := parse(t, "--public-key", a, "--public-key", "/x,y.pem", "--public-key", b)
	if diff := cmp.Diff([]string{a, "/x,y.pem", b}, c.Backup.PublicKey); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestNormalizeArgs(t *testing.T) {
	for _, test := range [][2]string{
		{"", ""},
		{"--public-key|x", "--public-key|x"},
		{"--public-key|-----BEGIN A-----|y", "--public-key=-----BEGIN A-----|y"},
		{"--public-key|--db-name|x", "--public-key|--db-name|x"},
		{"--public-key", "--public-key"},
		{"x|--|--public-key|-----BEGIN A-----", "x|--|--public-key|-----BEGIN A-----"},
		{"--dumper-options|--exclude-table=a -x", "--dumper-options=--exclude-table=a -x"},
		{"--dumper-options|-x|--dumper-options|a", "--dumper-options=-x|--dumper-options|a"},
		{"--dumper-options|--db-name=x", "--dumper-options|--db-name=x"},
		{"--dumper-options|--", "--dumper-options|--"},
		{"--db-password|-x", "--db-password|-x"},
	} {
		var args []string
		if test[0] != "" {
			args = strings.Split(test[0], "|")
		}
		before := strings.Join(args, "|")
		if got := strings.Join(NormalizeArgs(args), "|"); got != test[1] {
			t.Errorf("%s: got %s, want %s", test[0], got, test[1])
		}
		if strings.Join(args, "|") != before {
			t.Errorf("%s: the argument was changed", test[0])
		}
	}
}

// TestEveryFlagThroughKong gives each flag to kong and finds its text as Load does.
func TestEveryFlagThroughKong(t *testing.T) {
	for _, s := range Settings() {
		if s.Flag == "" {
			continue
		}
		c, _, err := parse(t, s.Flag, "a,b c")
		if err != nil {
			t.Errorf("%s: %v", s.Flag, err)
			continue
		}
		b := c.Backup
		flags := Flags{c.CommonFlags, b.DatabaseFlags, b.StorageFlags, b.SealFlags, b.OpenFlags, b.TrustFlags, b.TimeoutFlags, b.JobsFlags, b.SnapshotFlags, b.ScheduleFlags, b.KeepFlags}
		for _, other := range Settings() {
			want := ""
			if other.Variable == s.Variable {
				want = "a,b c"
			}
			if got := strings.Join(other.texts(flags), "|"); got != want {
				t.Errorf("%s: %s is %q, want %q", s.Flag, other, got, want)
			}
		}
	}
	if c, _, err := parse(t, "--dumper-options", "-x", "--dumper-options", "--y='a b'"); err != nil ||
		len(c.Backup.DumperOptions) != 2 {
		t.Errorf("%q, %v", c.Backup.DumperOptions, err)
	}
}

// TestKongKnowsNoSecondWayIn: kong must neither read the environment nor know defaults, or sources would be wrong.
func TestKongKnowsNoSecondWayIn(t *testing.T) {
	for _, s := range Settings() {
		t.Setenv(s.Variable, "from-environment")
	}
	c, help, err := parse(t, "--help")
	b := c.Backup
	flags := Flags{c.CommonFlags, b.DatabaseFlags, b.StorageFlags, b.SealFlags, b.OpenFlags, b.TrustFlags, b.TimeoutFlags, b.JobsFlags, b.SnapshotFlags, b.ScheduleFlags, b.KeepFlags}
	for _, s := range Settings() {
		if got := s.texts(flags); len(got) != 0 {
			t.Errorf("%s is %q without a flag", s, got)
		}
		shown := strings.Contains(help, s.Flag+"=")
		if s.Flag != "" && !shown {
			t.Errorf("%s shown in --help: %v (%v)", s.Flag, shown, err)
		}
	}
	if strings.Contains(help, "--private-key=") || strings.Contains(help, "--passphrase=") {
		t.Error("a private key or passphrase can be a flag")
	}
}
