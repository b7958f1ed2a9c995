package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

func TestCompletionsHaveEveryCommandAndFlag(t *testing.T) {
	t.Parallel()
	commands := reference(model(t))
	bash, zsh, fish := bashCompletion(commands), zshCompletion(commands), fishCompletion(commands)
	eachFlag(t, func(command, flag string) {
		_, own, _ := strings.Cut(bash, "\t"+command)
		own, _, _ = strings.Cut(own, ";;")
		if !slices.Contains(strings.FieldsFunc(own, func(r rune) bool { return strings.ContainsRune(" '\n", r) }), "--"+flag) {
			t.Errorf("bash does not complete dbacked %s --%s", command, flag)
		}
		_, own, _ = strings.Cut(zsh, "\t\t"+command)
		if own, _, _ = strings.Cut(own, ";;"); !strings.Contains(own, "'--"+flag+"[") && !strings.Contains(own, "'--"+flag+"=[") {
			t.Errorf("zsh does not complete dbacked %s --%s", command, flag)
		}
		if !slices.ContainsFunc(strings.Split(fish, "\n"), func(line string) bool {
			return strings.Contains(line, "__fish_seen_subcommand_from "+command) && strings.Contains(line+" ", " -l "+flag+" ")
		}) {
			t.Errorf("fish does not complete dbacked %s --%s", command, flag)
		}
	})
}

// bashBed is a folder with the completion, two instances and a folder.
func bashBed(t *testing.T) (dir string, environ []string) {
	t.Helper()
	_, err := exec.LookPath("bash")
	dbtest.Need(t, "bash", err)
	dir = t.TempDir()
	for name, text := range map[string]string{
		"rc":       bashCompletion(reference(model(t))) + "\nPS1=\ndbacked() { printf '<%s>\\n' \"$*\"; }\n",
		"shop.env": "", "blog.env": "", "private key.pem": "", "keys/other.pem": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, append(os.Environ(), "DBACKED_CONFIG_DIRECTORY="+dir, "INPUTRC=/dev/null", "TERM=dumb", "HISTFILE=")
}

// TestCompletionInBash asks bash for what it would offer, word by word as bash
// parts them.
func TestCompletionInBash(t *testing.T) {
	t.Parallel()
	dir, environ := bashBed(t)
	for _, test := range []struct{ line, want string }{
		{"res", "restore"},
		{"restore ", "blog shop"},
		{"restore s", "shop"},
		{"restore shop ", ""},
		{"restore --create s", "shop"},
		{"restore --db-host localhost s", "shop"},
		{"restore --db-host = localhost s", "shop"},
		{"restore --db-type ", "pg mysql"},
		{"restore --db-type =", "pg mysql"},
		{"restore --db-type = p", "pg"},
		{"restore --db-type pg --create-", "--create-roles"},
		{"restore --db-tls-mode verify-", "verify-ca verify-full"},
		{"restore --private-key-path priv", "private key.pem"},
		{"check --state-directory k", "keys"},
		{"check --db-password ", ""},
		{"check --apik", "--apikey --apikey-file"},
		{"keygen --no", "--no-passphrase"},
		{"completion ", "bash zsh fish"},
		{"start-ag", "start-agent"},
		{"start-agent ", "blog shop"},
		{"start-agent --sched", "--schedule"},
		{"nonsense --", ""},
		{"man", ""},
	} {
		cmd := exec.Command("bash", "-c", `source ./rc; COMP_WORDS=(dbacked "$@"); COMP_CWORD=$#; _dbacked; printf '%s\n' "${COMPREPLY[@]}"`, "bash")
		cmd.Args = append(cmd.Args, strings.Split(test.line, " ")...)
		cmd.Dir, cmd.Env = dir, environ
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", test.line, err, out)
		}
		if got := strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", " "); got != test.want {
			t.Errorf("%q: %q instead of %q", test.line, got, test.want)
		}
	}
}

// TestTabInBash presses the key, on a terminal.
func TestTabInBash(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("script")
	dbtest.Need(t, "script, of bsdutils", err)
	dir, environ := bashBed(t)
	keys := []string{
		"dbacked rest\ts\t",
		"dbacked backup --db-type=p\t",
		"dbacked verify shop --private-key-path=priv\t",
		"dbacked check --state-directory k\t",
	}
	cmd := exec.Command("script", "--quiet", "--return", "--command", "bash --noprofile --rcfile rc -i", "/dev/null")
	cmd.Dir, cmd.Env = dir, environ
	cmd.Stdin = strings.NewReader(strings.Join(keys, "\n") + "\nexit\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"<restore shop>", "<backup --db-type=pg>", "<verify shop --private-key-path=private key.pem>", "<check --state-directory keys/>"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("there is no %s in\n%s", want, out)
		}
	}
}
