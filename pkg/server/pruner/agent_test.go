package pruner

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// say says something to the service, and decodes an answer of 200.
func (b *bed) say(key, method, path, body string, v any) (status int) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	b.ok(err)
	r.Header.Set("Authorization", "ApiKey "+key)
	status, _, text := b.send(r)
	if status == http.StatusOK && v != nil {
		b.ok(json.Unmarshal(text, v))
	}
	return status
}

func (b *bed) send(r *http.Request) (status int, header http.Header, text []byte) {
	b.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	b.ok(err)
	defer answer.Body.Close()
	text, err = io.ReadAll(answer.Body)
	b.ok(err)
	return answer.StatusCode, answer.Header, text
}

// made is a backup that an agent of 2018 makes.
type made struct {
	id, path, address string
	content           []byte
	etag              string
}

// begin is given a backup and uploads its one part.
func (b *bed) begin() *made {
	b.t.Helper()
	var given struct{ Backup struct{ ID string } }
	if status := b.say(b.agent, "POST", "/projects/own/backups", `{"agentId":"a","agentVersion":"0.4.1","dbType":"pg"}`, &given); status != http.StatusOK {
		b.t.Fatalf("no backup is given: %d", status)
	}
	m := &made{id: given.Backup.ID, path: "/projects/" + b.project.ID + "/backups/" + given.Backup.ID}
	m.content = []byte("the content of " + m.id)
	var part struct{ PartUploadURL string }
	body := fmt.Sprintf(`{"status":"IN_PROGRESS","agentId":"a","partNumber":1,"hash":%q}`, m.md5())
	if status := b.say(b.agent, "POST", m.path+"/status", body, &part); status != http.StatusOK {
		b.t.Fatalf("no part is given: %d", status)
	}
	m.address = part.PartUploadURL
	if status := b.put(m); status != http.StatusOK {
		b.t.Fatalf("the part is not taken: %d", status)
	}
	return m
}

func (m *made) md5() string {
	sum := md5.Sum(m.content)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// put uploads the part.
func (b *bed) put(m *made) int {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPut, m.address, bytes.NewReader(m.content))
	b.ok(err)
	r.Header.Set("Content-MD5", m.md5())
	status, header, _ := b.send(r)
	if tag := header.Get("ETag"); tag != "" {
		m.etag = tag
	}
	return status
}

func (b *bed) done(m *made) int {
	b.t.Helper()
	sum := md5.Sum(m.content)
	return b.say(b.agent, "POST", m.path+"/status", fmt.Sprintf(`{"status":"DONE","agentId":"a","partsEtag":[%q],"hash":%q}`, m.etag, hex.EncodeToString(sum[:])), nil)
}

func (b *bed) fail(m *made) int {
	b.t.Helper()
	return b.say(b.agent, "POST", m.path+"/status", `{"status":"ERROR","agentId":"a","error":"boom"}`, nil)
}

// backup makes one, and lets an hour pass.
func (b *bed) backup() *made {
	b.t.Helper()
	m := b.begin()
	if status := b.done(m); status != http.StatusOK {
		b.t.Fatalf("done: %d", status)
	}
	b.passes(time.Hour)
	return m
}

// lost makes one whose agent falls silent, so that another is given.
func (b *bed) lost() *made {
	b.t.Helper()
	m := b.begin()
	b.passes(3 * time.Hour)
	var given struct{ Backup struct{ ID string } }
	if status := b.say(b.agent, "POST", "/projects/own/backups", `{"agentId":"b"}`, &given); status != http.StatusOK {
		b.t.Fatalf("no other is given: %d", status)
	}
	if status := b.say(b.agent, "POST", "/projects/"+b.project.ID+"/backups/"+given.Backup.ID+"/status", `{"status":"ERROR","agentId":"b"}`, nil); status != http.StatusOK {
		b.t.Fatalf("the other: %d", status)
	}
	b.is(m, records.StateLost, "")
	return m
}
