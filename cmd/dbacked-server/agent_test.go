package main

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// call says something to a service, expects 200, and decodes the answer into v.
func call(t *testing.T, key, method, url, body string, v any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader([]byte(body)))
	must(t, err)
	r.Header.Set("Authorization", "ApiKey "+key)
	r.Header.Set("Content-Type", "application/json")
	answer, text := send(t, r)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, r.URL.Path, answer.StatusCode, text)
	}
	if v != nil {
		must(t, json.Unmarshal(text, v))
	}
}

func send(t *testing.T, r *http.Request) (*http.Response, []byte) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer, text
}

// upload stores a backup of one part as an agent of 2018 does, and returns its path
// below the service.
func upload(t *testing.T, url string, p created, content []byte) string {
	t.Helper()
	var given struct{ Backup struct{ ID string } }
	call(t, p.APIKey, "POST", url+"/projects/own/backups", `{"agentId":"one","agentVersion":"0.4.1","dbType":"pg"}`, &given)
	path := "/projects/" + p.ID + "/backups/" + given.Backup.ID
	sum := md5.Sum(content)
	md5sum := base64.StdEncoding.EncodeToString(sum[:])
	var part struct{ PartUploadURL string }
	call(t, p.APIKey, "POST", url+path+"/status", fmt.Sprintf(`{"status":"IN_PROGRESS","agentId":"one","partNumber":1,"hash":%q}`, md5sum), &part)
	put, err := http.NewRequestWithContext(t.Context(), http.MethodPut, part.PartUploadURL, bytes.NewReader(content))
	must(t, err)
	put.Header.Set("Content-MD5", md5sum)
	answer, text := send(t, put)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the part: %d %s", answer.StatusCode, text)
	}
	call(t, p.APIKey, "POST", url+path+"/status", fmt.Sprintf(`{"status":"DONE","agentId":"one","partsEtag":[%q],"hash":%q,"publicKey":"-"}`, answer.Header.Get("ETag"), hex.EncodeToString(sum[:])), nil)
	return path
}

// download returns a backup, as its project's restore key gets it.
func download(t *testing.T, url, key, path string) []byte {
	t.Helper()
	var at struct{ DownloadURL string }
	call(t, key, "GET", url+path+"/downloadUrl", "", &at)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at.DownloadURL, nil)
	must(t, err)
	answer, content := send(t, r)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the download: %d %s", answer.StatusCode, content)
	}
	return content
}
