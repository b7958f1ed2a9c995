package dbtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// OldService makes of a DBacked service one of 2018: it says nothing that those did
// not, refuses what they would not have understood, and has none of their successors'
// paths. What is not strict about it is the service itself.
func OldService(service http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /projects/own", func(w http.ResponseWriter, r *http.Request) { plain(w, r, service, oldProject) })
	mux.HandleFunc("POST /projects/own/backups", func(w http.ResponseWriter, r *http.Request) {
		if said(w, r, fields{"agentId": nil, "agentVersion": nil, "dbType": nil}) {
			plain(w, r, service, fields{"backup": fields{"id": nil, "projectId": nil}})
		}
	})
	mux.HandleFunc("POST /projects/{project}/backups/{id}/status", func(w http.ResponseWriter, r *http.Request) { oldStatus(w, r, service) })
	mux.HandleFunc("GET /projects/{project}/backups/{id}/downloadUrl", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("project") == "own" {
			oldProblem(w, http.StatusNotFound, "no project has that id")
			return
		}
		plain(w, r, service, fields{"downloadUrl": nil})
	})
	mux.HandleFunc("/files/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && (r.Header.Get("Content-Type") != "" || r.Header.Get("Content-MD5") == "") {
			oldProblem(w, http.StatusForbidden, "the signature is of a Content-MD5, and of no Content-Type")
			return
		}
		service.ServeHTTP(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		oldProblem(w, http.StatusNotFound, "Cannot "+r.Method+" "+r.URL.Path)
	})
	return mux
}

// fields are what may be in an object; those of an object in it, or of each in a list,
// are its value.
type fields map[string]any

var oldProject = fields{"id": nil, "publicKey": nil, "backups": fields{
	"id": nil, "projectId": nil, "dbType": nil, "finishedAt": nil, "size": nil, "filename": nil,
}}

func oldStatus(w http.ResponseWriter, r *http.Request, service http.Handler) {
	text, err := io.ReadAll(r.Body)
	var st struct{ Status string }
	if err != nil || json.Unmarshal(text, &st) != nil || r.PathValue("project") == "own" {
		oldProblem(w, http.StatusBadRequest, "that is no status of a backup")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	request, answer := fields{"status": nil, "agentId": nil}, fields{}
	switch st.Status {
	case "IN_PROGRESS":
		request["partNumber"], request["hash"] = nil, nil
		answer["partUploadUrl"] = nil
	case "DONE":
		request["partsEtag"], request["hash"], request["publicKey"] = nil, nil, nil
	case "ERROR":
		request["error"] = nil
	}
	if said(w, r, request) {
		plain(w, r, service, answer)
	}
}

// said refuses a call that says more than it may.
func said(w http.ResponseWriter, r *http.Request, allowed fields) bool {
	text, err := io.ReadAll(r.Body)
	var body map[string]any
	if err != nil || json.Unmarshal(text, &body) != nil {
		oldProblem(w, http.StatusBadRequest, "the body is no JSON")
		return false
	}
	for name := range body {
		if _, ok := allowed[name]; !ok {
			oldProblem(w, http.StatusBadRequest, fmt.Sprintf("%q is not allowed", name))
			return false
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	return true
}

// plain passes on a call, and of the answer what is allowed.
func plain(w http.ResponseWriter, r *http.Request, service http.Handler, allowed fields) {
	got := &kept{ResponseWriter: w, status: http.StatusOK}
	service.ServeHTTP(got, r)
	var answer any
	if got.status > 299 {
		allowed = fields{"status": nil, "message": nil, "details": nil}
	}
	text := got.text.Bytes()
	if json.Unmarshal(text, &answer) == nil {
		text, _ = json.Marshal(only(answer, allowed)) // it was JSON
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(got.status)
	_, _ = w.Write(text) // the client went away
}

// only leaves out what is not allowed.
func only(v any, allowed fields) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			inner, ok := allowed[name]
			if !ok {
				delete(v, name)
			} else if f, ok := inner.(fields); ok {
				v[name] = only(value, f)
			}
		}
	case []any:
		for i := range v {
			v[i] = only(v[i], allowed)
		}
	}
	return v
}

func oldProblem(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "message": message}) // the client went away
}

// kept is an answer that is not sent yet.
type kept struct {
	http.ResponseWriter
	status int
	text   bytes.Buffer
}

func (k *kept) Unwrap() http.ResponseWriter { return k.ResponseWriter }
func (k *kept) WriteHeader(status int) {
	if status >= 200 {
		k.status = status
	}
}
func (k *kept) Write(p []byte) (int, error) { return k.text.Write(p) }

// Signed says whether a text holds what gives access to a part or a download: the query
// of an address that a service signed.
func Signed(text string) bool {
	return strings.Contains(text, "/files/") || strings.Contains(text, "signature=") || strings.Contains(text, "X-Amz-Signature")
}
