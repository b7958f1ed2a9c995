// Package packaging tests what the packages hold beside the program.
package packaging

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dbtest"
)

// tool runs a program that the machine may lack.
func tool(t *testing.T, environ []string, name string, args ...string) (string, error) {
	t.Helper()
	_, err := exec.LookPath(name)
	dbtest.Need(t, name, err)
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// programs are what units run.
var programs = strings.NewReplacer("/usr/bin/dbacked-server", "/bin/true", "/usr/bin/dbacked", "/bin/true")

// units are the unit files; each is as the package has it, but runs a program
// that is there.
func units(t *testing.T) (dir string, names []string) {
	t.Helper()
	dir = t.TempDir()
	for _, pattern := range []string{"*.service", "*.socket", "*.timer", "*.target"} {
		files, err := filepath.Glob("../systemd/" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			text := programs.Replace(read(t, file))
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			names = append(names, filepath.Base(file))
		}
	}
	return dir, names
}

func TestUnitsAreClean(t *testing.T) {
	t.Parallel()
	dir, names := units(t)
	for _, name := range names {
		name = strings.Replace(name, "@", "@some-name", 1)
		out, err := tool(t, []string{"SYSTEMD_UNIT_PATH=" + dir + ":"}, "systemd-analyze", "verify", "--man=no", name)
		if err != nil || out != "" {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestDropInsAreClean checks the examples as their comments say they are used.
func TestDropInsAreClean(t *testing.T) {
	t.Parallel()
	for example, unit := range map[string]string{
		"storage.conf": "dbacked@shop.service", "encrypted-credentials.conf": "dbacked@shop.service",
		"tcp.conf": "dbacked@shop.socket", "mail.conf": "dbacked-failure@.service",
	} {
		dir, _ := units(t)
		text := read(t, "examples/"+example)
		if want := "/etc/systemd/system/" + unit + ".d/" + example; !strings.Contains(text, want) {
			t.Errorf("%s does not say that it belongs to %s", example, want)
		}
		path := filepath.Join(dir, unit+".d", example)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := tool(t, []string{"SYSTEMD_UNIT_PATH=" + dir + ":"}, "systemd-analyze", "verify", "--man=no", strings.Replace(unit, "@.", "@shop.", 1))
		if err != nil || out != "" {
			t.Errorf("%s: %v\n%s", example, err, out)
		}
	}
}

// TestSandbox holds the exposure that systemd computes, in tenths.
func TestSandbox(t *testing.T) {
	t.Parallel()
	for unit, most := range map[string]int{"dbacked@.service": 12, "dbacked-verify@.service": 12, "dbacked-health@.service": 5, "dbacked-server.service": 12} {
		out, err := tool(t, []string{"LC_ALL=C.UTF-8"}, "systemd-analyze", "security", "--no-pager", "--offline=true", fmt.Sprintf("--threshold=%d", most), "../systemd/"+unit)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		t.Log(lines[len(lines)-1])
		if err != nil {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}

// TestEveryLineHasAReason wants a comment before each line, or group of lines,
// of the services.
func TestEveryLineHasAReason(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"dbacked@.service", "dbacked-server.service"} {
		_, service, _ := strings.Cut(read(t, "../systemd/"+unit), "[Service]")
		_, sandbox, found := strings.Cut(service, "# The sandbox.")
		if !found {
			t.Fatalf("%s: where does the sandbox begin?", unit)
		}
		sandbox, _, _ = strings.Cut(sandbox, "[Install]")
		explained, settings := false, 0
		for line := range strings.Lines(sandbox) {
			switch line = strings.TrimSpace(line); {
			case line == "":
				explained = false
			case strings.HasPrefix(line, "#"):
				explained = true
			case strings.Contains(line, "="):
				settings++
				if !explained {
					t.Errorf("%s: %s has no reason", unit, line)
				}
			}
		}
		if settings < 30 {
			t.Errorf("%s: only %d settings", unit, settings)
		}
		if strings.Contains(service, "%I") {
			t.Errorf("%s: %%I turns dashes into slashes: use %%i", unit)
		}
	}
}

// TestUnitsLoadCredentials wants what an instance can be given as a credential to
// reach it.
func TestUnitsLoadCredentials(t *testing.T) {
	t.Parallel()
	agent, verify := read(t, "../systemd/dbacked@.service"), read(t, "../systemd/dbacked-verify@.service")
	for name := range config.Credentials() {
		line := "\nLoadCredential=" + config.CredentialName("%i", name) + "\n"
		if !strings.Contains(agent, line) {
			t.Errorf("dbacked@.service does not load %s", name)
		}
		// That one speaks to no database, and tells nobody.
		if needed := name != "db-password" && name != "ping-url"; needed && !strings.Contains(verify, line) {
			t.Errorf("dbacked-verify@.service does not load %s", name)
		}
	}
}

func TestUserAndFolders(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{"etc", "usr/lib/sysusers.d", "usr/lib/tmpfiles.d"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"dbacked", "dbacked-server"} {
		for _, kind := range []string{"sysusers", "tmpfiles"} {
			if err := os.WriteFile(filepath.Join(root, "usr/lib", kind+".d", name+".conf"), []byte(read(t, "../systemd/"+name+"."+kind)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if os.Geteuid() != 0 {
		dbtest.Need(t, "root", os.ErrPermission)
	}
	for _, command := range [][]string{
		{"systemd-sysusers", "--root=" + root, "dbacked.conf", "dbacked-server.conf"},
		{"systemd-tmpfiles", "--root=" + root, "--create", "dbacked.conf", "dbacked-server.conf"},
	} {
		if out, err := tool(t, nil, command[0], command[1:]...); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	users := "\n" + read(t, root+"/etc/passwd")
	for name, home := range map[string]string{"dbacked": "/var/lib/dbacked", "dbacked-server": "/var/lib/dbacked-server"} {
		if _, user, found := strings.Cut(users, "\n"+name+":x:"); !found || !strings.Contains(strings.SplitN(user, "\n", 2)[0]+"\n", ":"+home+":/usr/sbin/nologin\n") {
			t.Errorf("there is no user %s:%s", name, users)
		}
	}
	for dir, mode := range map[string]os.FileMode{"/var/lib/dbacked": 0o755, "/run/dbacked": 0o755, "/var/lib/dbacked-server": 0o700} {
		info, err := os.Stat(root + dir)
		if err != nil || info.Mode() != os.ModeDir|mode {
			t.Errorf("%s: %v %v", dir, info, err)
		} else if owned := info.Sys().(*syscall.Stat_t).Uid != 0; owned != (mode == 0o700) {
			t.Errorf("%s belongs to another", dir)
		}
	}
}

// TestScriptsWithoutSystemd runs the scripts where none of systemd's programs is.
func TestScriptsWithoutSystemd(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		dbtest.Need(t, "a machine that systemd did not boot", os.ErrExist)
	}
	for _, test := range [][]string{
		{"postinstall", "configure", ""},
		{"postinstall", "configure", "1.0"},
		{"postinstall", "abort-upgrade", "1.0"},
		{"postinstall", "1"},
		{"postinstall", "2"},
		{"preremove", "remove"},
		{"preremove", "upgrade", "2.0"},
		{"preremove", "0"},
		{"preremove", "1"},
		{"postremove", "remove"},
		{"postremove", "upgrade", "2.0"},
		{"postremove", "0"},
		{"postremove", "1"},
	} {
		for _, prefix := range []string{"", "server-"} {
			cmd := exec.Command("/bin/sh", append([]string{"scripts/" + prefix + test[0] + ".sh"}, test[1:]...)...)
			cmd.Env = []string{"PATH=/nonexistent"}
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s%v: %v\n%s", prefix, test, err, out)
			}
		}
	}
}

// TestNeedrestart reads the override as needrestart does, in Perl.
func TestNeedrestart(t *testing.T) {
	t.Parallel()
	program := `our %nrconf; eval do { local $/; <STDIN> }; die $@ if $@;
for my $unit (@ARGV) { for my $re (keys %{$nrconf{override_rc}}) { print "$unit=$nrconf{override_rc}{$re}\n" if $unit =~ /$re/ } }`
	cmd := exec.Command("perl", "-e", program, "dbacked@shop.service", "postgresql.service", "dbacked-health@shop.service")
	cmd.Stdin = strings.NewReader(read(t, "needrestart.conf"))
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "dbacked@shop.service=0\n" {
		t.Errorf("%v: %q", err, out)
	}
}

func TestPackageVersion(t *testing.T) {
	t.Parallel()
	_, rest, _ := strings.Cut(read(t, "packages.sh"), "package_version() {")
	body, _, _ := strings.Cut(rest, "\n}\n")
	for version, want := range map[string]string{
		"v1.2.3":                "1.2.3",
		"1.2.3":                 "1.2.3",
		"v1.2.3-5-gabcdef":      "1.2.3+5.gabcdef",
		"v1.2.3-dirty":          "1.2.3+dirty",
		"1.2.3-5-gabcdef-dirty": "1.2.3+5.gabcdef.dirty",
		"e290ffd":               "0~git20261123160000.e290ffd",
		"1290ffd-dirty":         "0~git20261123160000.1290ffd+dirty",
	} {
		cmd := exec.Command("bash", "-c", "package_version() {"+body+"\n}\npackage_version "+version)
		cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1795449600", "TZ=UTC")
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s is %q instead of %q: %v", version, got, want, err)
		}
	}
}

// TestRightsAreDocumented wants each right that a policy grants in the table of the
// rights, with the policies that are shown.
func TestRightsAreDocumented(t *testing.T) {
	t.Parallel()
	doc := read(t, "doc/s3.md")
	_, table, _ := strings.Cut(doc, "## Rights, function by function")
	table, _, _ = strings.Cut(table, "\n## ")
	policies, err := filepath.Glob("examples/s3-*-policy.json")
	if err != nil || len(policies) != 3 {
		t.Fatalf("policies: %q, %v", policies, err)
	}
	shown := regexp.MustCompile("s3:[A-Z][A-Za-z]+")
	for _, policy := range policies {
		if !strings.Contains(doc, "(../"+policy+")") {
			t.Errorf("s3.md does not show %s", policy)
		}
		for _, right := range shown.FindAllString(read(t, policy), -1) {
			if right != "s3:ObjectCreationOperation" && !strings.Contains(table, "`"+right+"`") {
				t.Errorf("%s grants %s, which no row of the table needs", policy, right)
			}
		}
		dbtest.NewPolicy(t, policy)
	}
}
