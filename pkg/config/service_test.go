package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestService(t *testing.T) {
	key := write(t, "k-1\n", 0o600)
	c := mustLoad(t, setup{need: NeedStorage | NeedSchedule | NeedPublicKey, environ: map[string]string{"DBACKED_APIKEY_FILE": key, "DBACKED_API_URL": "https://backups.example.org/", "DBACKED_POLL_INTERVAL": "30s", "DBACKED_UPLOAD_MEMORY": "8MiB"}})
	s := c.Storage
	if !s.IsService() || s.Service.Key.Reveal() != "k-1" || s.Service.Poll != 30*time.Second || s.Upload.Memory != 8<<20 || c.Lock != LockService {
		t.Errorf("%+v, lock %s", s, c.Lock)
	}
	if s.String() != "https://backups.example.org" || len(c.Places) != 1 || c.Keys.PublicKeys != "" || len(c.Warnings) != 0 {
		t.Errorf("%s, %v, warnings %q", s, c.Places, c.Warnings)
	}
}

// TestServiceOrStorage: of a key and a storage, the one that stands higher applies.
func TestServiceOrStorage(t *testing.T) {
	const file = "DBACKED_APIKEY=k\n"
	if c := mustLoad(t, setup{need: NeedStorage, envFile: file, environ: map[string]string{"DBACKED_STORAGE": "file:///copy"}}); c.Storage.String() != "file:///copy" {
		t.Errorf("of a storage above a key: %s", c.Storage)
	}
	if c := mustLoad(t, setup{need: NeedStorage, envFile: "DBACKED_STORAGE=file:///copy\n", environ: map[string]string{"DBACKED_APIKEY": "k"}}); !c.Storage.IsService() {
		t.Errorf("of a key above a storage: %s", c.Storage)
	}
	if c := mustLoad(t, setup{need: NeedStorage, envFile: "DBACKED_STORAGE=file:///copy\n", json: `{"apikey": "k"}`}); c.Storage.String() != "file:///copy" {
		t.Errorf("of a storage above the former agent's key: %s", c.Storage)
	}
	wantOne(t, problems(t, setup{need: NeedStorage, envFile: file + "DBACKED_STORAGE=file:///copy\n"}), "are both given")
}

func TestServiceWrong(t *testing.T) {
	for setting, says := range map[string]string{
		"DBACKED_API_URL=backups.example.org":        "use https://host",
		"DBACKED_API_URL=https://u:hunter2@h":        "takes no user",
		"DBACKED_API_URL=https://h/?token=hunter2":   "no parameters",
		"DBACKED_API_URL=ftp://h":                    "use https://host",
		"DBACKED_POLL_INTERVAL=10ms":                 "too often",
		"DBACKED_POLL_INTERVAL=hourly":               "write 30s, 5m",
		"DBACKED_APIKEY=hunter2 x":                   "holds no blank",
		"DBACKED_APIKEY_FILE=/nonexistent/dbacked/x": "there is no such file",
	} {
		name, value, _ := strings.Cut(setting, "=")
		environ := map[string]string{name: value}
		if !strings.HasPrefix(setting, "DBACKED_APIKEY") {
			environ[varAPIKey] = "hunter2"
		}
		got := problems(t, setup{need: NeedStorage, environ: environ})
		if wantOne(t, got, says); slices.ContainsFunc(got, containsSecret) {
			t.Errorf("%s leaks: %q", setting, got)
		}
	}
}

func TestServiceWarns(t *testing.T) {
	c := mustLoad(t, setup{need: NeedStorage | NeedSchedule | WantRetention, environ: map[string]string{"DBACKED_APIKEY": "k", "DBACKED_API_URL": "http://backups.example.org", "DBACKED_SCHEDULE": "@hourly", "DBACKED_KEEP_LAST": "3"}})
	wantOne(t, c.Warnings, "in the clear")
	wantOne(t, c.Warnings, "DBACKED_SCHEDULE")
	wantOne(t, c.Warnings, "DBACKED_KEEP_LAST")
	c = mustLoad(t, setup{need: NeedStorage, environ: map[string]string{"DBACKED_APIKEY": "k", "DBACKED_API_URL": "http://127.0.0.1:5000"}})
	if len(c.Warnings) != 0 {
		t.Errorf("of a service on this machine: %q", c.Warnings)
	}
}
