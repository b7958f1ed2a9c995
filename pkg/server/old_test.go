package server

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/api"
)

// old is an agent of 2018, as it was recorded: what it says, in its own words.
type old struct {
	*bed
	id    string // its own
	given struct {
		Backup struct{ ID, ProjectID string }
	}
	etags []string
	hash  string // of the whole
	again int    // how often each call is said, as after an answer that was lost
}

// repeat says a call, and says it again as often as its answers are lost; the last
// answer counts, and all must be the same.
func (o *old) repeat(call func() said, varies ...string) (last said) {
	o.t.Helper()
	first := call()
	for range o.again {
		last = call()
		if last.status != first.status || len(varies) == 0 && last.body != first.body {
			o.t.Errorf("%s: first %d %s, again %d %s", first.call, first.status, first.body, last.status, last.body)
		}
	}
	if o.again == 0 {
		return first
	}
	return last
}

func (o *old) ask() said {
	return o.repeat(func() said {
		return o.call(o.agent, "POST", "/projects/own/backups", fmt.Sprintf(`{"agentId":%q,"agentVersion":"0.4.1","dbType":"pg"}`, o.id))
	})
}

func (o *old) upload(parts ...[]byte) {
	o.t.Helper()
	whole := md5.New()
	for i, part := range parts {
		whole.Write(part)
		var url struct{ PartUploadURL string }
		o.repeat(func() said {
			return o.call(o.agent, "POST", o.path(o.given.Backup.ID, "status"),
				fmt.Sprintf(`{"status":"IN_PROGRESS","agentId":%q,"partNumber":%d,"hash":%q}`, o.id, i+1, sum(part)))
		}, "the address").is(http.StatusOK, &url)
		put := o.repeat(func() said { return o.put(url.PartUploadURL, part) }).is(http.StatusOK, nil)
		etag := put.header.Get("ETag")
		if etag != `"`+hex.EncodeToString(md5Of(part))+`"` {
			o.t.Errorf("part %d has the ETag %s", i+1, etag)
		}
		o.etags = append(o.etags, etag)
	}
	o.hash = hex.EncodeToString(whole.Sum(nil))
}

func md5Of(part []byte) []byte {
	sum := md5.Sum(part)
	return sum[:]
}

func (o *old) done() said {
	return o.repeat(func() said {
		return o.call(o.agent, "POST", o.path(o.given.Backup.ID, "status"),
			fmt.Sprintf(`{"status":"DONE","agentId":%q,"partsEtag":%s,"hash":%q,"publicKey":"-----BEGIN PUBLIC KEY-----\nxyz\n-----END PUBLIC KEY-----\n"}`, o.id, quoted(o.etags), o.hash))
	})
}

func (o *old) error(text string) said {
	return o.repeat(func() said {
		return o.call(o.agent, "POST", o.path(o.given.Backup.ID, "status"), fmt.Sprintf(`{"status":"ERROR","agentId":%q,"error":%q}`, o.id, text))
	})
}

// partsOf are parts that S3 takes.
func partsOf(seed byte) [][]byte {
	return [][]byte{bytes.Repeat([]byte{seed, 1}, 5<<19), bytes.Repeat([]byte{seed, 2}, 5<<19), {seed, 3}}
}

// TestOldAgent is the conversation of an agent of 2018, from its first call to a
// restore; once as it goes, and once with every answer lost.
func TestOldAgent(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		for again := range 2 {
			o := &old{bed: b, id: "agent-1", again: again}
			var own map[string]any
			o.repeat(func() said { return o.call(o.agent, "GET", "/projects/own", "") }).is(http.StatusOK, &own)
			if own["id"] != b.project.ID || fmt.Sprint(own["backups"]) != "[]" || own["publicKey"] != "" {
				t.Errorf("the project is %v", own)
			}
			o.ask().is(http.StatusOK, &o.given)
			if o.given.Backup.ProjectID != b.project.ID || o.given.Backup.ID == "" {
				t.Fatalf("given: %+v", o.given)
			}
			parts := partsOf(byte(again))
			o.upload(parts...)
			o.done().is(http.StatusOK, nil)
			o.notDue()
			b.holds(o, bytes.Join(parts, nil), again+1)
			b.passes(time.Hour)
		}
	})
}

// notDue expects what the agent compares to the letter.
func (o *old) notDue() {
	o.t.Helper()
	var p map[string]any
	o.ask().is(http.StatusConflict, &p)
	if p["message"] != "No backup needed for the moment" || p["status"] != float64(http.StatusConflict) {
		o.t.Errorf("not due: %v", p)
	}
}

// holds restores a backup as an agent of 2018 does, which has the newest first.
func (b *bed) holds(o *old, want []byte, count int) {
	b.t.Helper()
	var own api.Project
	b.call(b.restore, "GET", "/projects/own", "").is(http.StatusOK, &own)
	if len(own.Backups) != count || own.Backups[0].ID != o.given.Backup.ID || own.Backups[0].Size != int64(len(want)) || own.Backups[0].DBType != "pg" {
		b.t.Fatalf("backups: %+v", own.Backups)
	}
	var url struct{ DownloadURL string }
	b.call(b.restore, "GET", b.path(own.Backups[0].ID, "downloadUrl"), "").is(http.StatusOK, &url)
	r, err := http.NewRequest(http.MethodGet, url.DownloadURL, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if got := send(b.t, r).is(http.StatusOK, nil); got.body != string(want) {
		b.t.Errorf("restored %d bytes that are not the %d that were stored", len(got.body), len(want))
	}
}

// TestOldAgentLoses lets agents of 2018 die, fail and come too late.
func TestOldAgentLoses(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		first, second := &old{bed: b, id: "agent-1"}, &old{bed: b, id: "agent-2"}
		first.ask().is(http.StatusOK, &first.given)
		second.notDue()
		first.upload(partsOf(1)[:1]...)
		first.notDue() // it asked for a part, so it is at it
		first.error("pg_dump: connection refused").is(http.StatusOK, nil)

		second.ask().is(http.StatusOK, &second.given)
		if first.given == second.given {
			t.Fatal("one backup was given twice")
		}
		first.call(first.agent, "POST", b.path(first.given.Backup.ID, "status"), fmt.Sprintf(`{"status":"IN_PROGRESS","agentId":"agent-1","partNumber":2,"hash":%q}`, sum([]byte("x")))).
			fails(http.StatusConflict, "over")
		second.upload(partsOf(2)...)
		b.passes(119 * time.Minute)
		first.notDue()
		b.passes(2 * time.Minute) // two hours since its last call
		third := &old{bed: b, id: "agent-3"}
		third.ask().is(http.StatusOK, &third.given)
		second.call(second.agent, "POST", b.path(second.given.Backup.ID, "status"), fmt.Sprintf(`{"status":"IN_PROGRESS","agentId":"agent-2","partNumber":4,"hash":%q}`, sum([]byte("x")))).
			fails(http.StatusConflict, "over")
		// All of its parts are there: what it says late is welcome.
		second.done().is(http.StatusOK, nil)
		b.holds(second, bytes.Join(partsOf(2), nil), 1)
	})
}

// TestDone is what can be said at a backup's end, and after it.
func TestDone(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		o := &old{bed: b, id: "agent-1"}
		o.ask().is(http.StatusOK, &o.given)
		o.upload(partsOf(1)...)
		whole := o.etags
		for name, etags := range map[string][]string{
			"missing": {whole[0], whole[1], whole[2], whole[2]}, "exchanged": {whole[1], whole[0], whole[2]}, "foreign": {whole[0], `"00000000000000000000000000000000"`, whole[2]},
		} {
			o.etags = etags
			if s := o.done(); s.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", name, s.status, s.body)
			}
		}
		o.etags = nil
		o.done().fails(http.StatusBadRequest, "no part")
		o.etags = whole
		o.again = 1
		o.done().is(http.StatusOK, nil)
		o.again = 0
		o.hash = strings.Repeat("0", 32)
		o.done().fails(http.StatusConflict, "differently")
		o.error("too late").is(http.StatusOK, nil)
		o.hash = hex.EncodeToString(md5Of(bytes.Join(partsOf(1), nil)))
		o.done().is(http.StatusOK, nil)
		b.holds(o, bytes.Join(partsOf(1), nil), 1)
		o.call(o.agent, "POST", b.path(o.given.Backup.ID, "status"), fmt.Sprintf(`{"status":"IN_PROGRESS","agentId":"agent-1","partNumber":4,"hash":%q}`, sum([]byte("x")))).
			fails(http.StatusConflict, "over")
	})
}
