//go:build e2e

package e2e

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Of the service that agents can speak to.
const (
	serverUnit = "dbacked-server.service"
	serverData = "/var/lib/dbacked-server"
	serverURL  = "http://127.0.0.1:5000"
)

// dbackedServer: the service is installed beside the agent, started by its first call,
// administered by root, and restarted; it keeps what was uploaded.
func dbackedServer(t *testing.T, b *bed) {
	b.sudo(t, "apt", "install", "--yes", "dbacked-server")
	b.expectProperties(t, serverUnit, "ActiveState=inactive", "UnitFileState=disabled")
	b.expectClean(t, "dbacked-server")
	b.expectExposure(t, serverUnit)

	b.sudo(t, "systemctl", "start", "dbacked-server.socket")
	b.expectProperties(t, serverUnit, "ActiveState=inactive")
	var p struct{ ID, APIKey string }
	must(t, json.Unmarshal([]byte(b.sudo(t, "dbacked-server", "project", "create", "shop", "--json")), &p))
	if out := b.call(t, p.APIKey, "/projects/own", ""); !strings.Contains(out, `"id":"`+p.ID+`"`) { // which starts it
		t.Errorf("the project is %s", out)
	}
	b.expectProperties(t, serverUnit, "ActiveState=active", "SubState=running", "NRestarts=0", "User=dbacked-server", "WatchdogUSec=1min", "LimitNOFILE=65536")
	var other struct{ APIKey string }
	must(t, json.Unmarshal([]byte(b.sudo(t, "dbacked-server", "project", "create", "other", "--public-key", "/etc/dbacked/public.pem", "--json")), &other))
	b.served(t, other.APIKey)
	pid := b.property(t, serverUnit, "MainPID")

	content := strings.Repeat("a backup, sealed by its agent\n", 1<<15)
	path := b.store(t, p.ID, p.APIKey, content)
	b.sudo(t, "systemctl", "restart", "dbacked-server")
	if now := b.property(t, serverUnit, "MainPID"); now == pid {
		t.Error("it was not restarted")
	}
	var restore struct{ APIKey string }
	must(t, json.Unmarshal([]byte(b.sudo(t, "dbacked-server", "key", "create", "shop", "--kind=restore", "--json")), &restore))
	var at struct{ DownloadURL string }
	must(t, json.Unmarshal([]byte(b.call(t, restore.APIKey, path+"/downloadUrl", "")), &at))
	if got := b.run(t, "curl", "-fsS", at.DownloadURL); got != content {
		t.Errorf("%d bytes were downloaded that are not the %d that were stored", len(got), len(content))
	}
	if strays := b.sh(t, "find %s ! -user dbacked-server", serverData); strays != "" {
		t.Errorf("these belong to another:\n%s", strays)
	}
	if log := b.sudo(t, "dbacked-server", "audit"); strings.Count(log, "admin") != 3 {
		t.Errorf("the audit log does not say that admin did it:\n%s", log)
	}
	b.sudo(t, "systemctl", "stop", "dbacked-server.socket") // stops both, says the documentation
	b.expectProperties(t, serverUnit, "ActiveState=inactive", "Result=success")
	b.sudo(t, "systemctl", "start", "dbacked-server")
}

// served: the agent backs up to it, in its sandbox, with nothing but the key, which is a
// credential.
func (b *bed) served(t *testing.T, key string) {
	t.Helper()
	const settings = "/etc/dbacked/served.env"
	b.write(t, credstore("served", "apikey"), key+"\n", 0o600)
	b.write(t, settings, "DBACKED_DB_TYPE=pg\nDBACKED_DB_NAME=shop\nDBACKED_DB_USERNAME=dbacked\nDBACKED_API_URL="+serverURL+"\n", 0o600)
	mark := b.mark(t)
	b.sudo(t, "systemctl", "start", "dbacked@served")
	id := b.journal.await(t, mark, event("served", "backup-proved")...)["DBACKED_BACKUP_ID"]
	if out := b.sudo(t, "dbacked", "list", "served"); id == "" || !strings.Contains(out, id) {
		t.Errorf("backup %q is not listed:\n%s", id, out)
	}
	b.sudo(t, "dbacked", "check", "served")
	b.sudo(t, "systemctl", "stop", "dbacked@served")
	b.sudo(t, "rm", "-r", settings, credstore("served", "apikey"), "/var/lib/dbacked/served")
}

// serverRemoved: the service is purged, and what it keeps stays.
func serverRemoved(t *testing.T, b *bed) {
	b.sudo(t, "systemctl", "enable", "dbacked-server")
	b.expectProperties(t, "dbacked-server.socket", "UnitFileState=enabled")
	b.sudo(t, "apt", "purge", "--yes", "dbacked-server")
	if pids := b.processes(t, "dbacked-server"); len(pids) > 0 {
		t.Errorf("it runs: %v", pids)
	}
	if left := b.sh(t, "find /etc -name 'dbacked-server*'; systemctl list-units --plain --no-legend --all --state=active,failed 'dbacked-server*'"); left != "" {
		t.Errorf("purge left:\n%s", left)
	}
	b.run(t, "test", "-s", serverData+"/server.db", "-a", "-d", serverData+"/files")
}

// call says something to the service, with a body or without, and returns a good
// answer.
func (b *bed) call(t *testing.T, key, path, body string) string {
	t.Helper()
	args := []string{"curl", "-fsS", "-H", "Authorization: ApiKey " + key}
	if body != "" {
		args = append(args, "-H", "Content-Type: application/json", "-d", body)
	}
	return b.run(t, append(args, serverURL+path)...)
}

// store uploads a backup as an agent of 2018 does, and returns its path.
func (b *bed) store(t *testing.T, project, key, content string) string {
	t.Helper()
	var given struct{ Backup struct{ ID string } }
	must(t, json.Unmarshal([]byte(b.call(t, key, "/projects/own/backups", `{"agentId":"one","agentVersion":"0.4.1","dbType":"pg"}`)), &given))
	path := "/projects/" + project + "/backups/" + given.Backup.ID
	sum := md5.Sum([]byte(content))
	hash := base64.StdEncoding.EncodeToString(sum[:])
	var part struct{ PartUploadURL string }
	must(t, json.Unmarshal([]byte(b.call(t, key, path+"/status", fmt.Sprintf(`{"status":"IN_PROGRESS","agentId":"one","partNumber":1,"hash":%q}`, hash))), &part))
	b.write(t, "/run/part", content, 0o644)
	b.run(t, "curl", "-fsS", "-T", "/run/part", "-H", "Content-MD5: "+hash, part.PartUploadURL)
	etag := hex.EncodeToString(sum[:])
	b.call(t, key, path+"/status", fmt.Sprintf(`{"status":"DONE","agentId":"one","partsEtag":["\"%s\""],"hash":%q,"publicKey":"-"}`, etag, etag))
	return path
}
