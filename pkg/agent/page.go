package agent

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"sync"
	"time"
	"unicode"
)

// strictPolicy is what a browser may do with an answer: nothing.
const strictPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed page.html page.css
var pageFiles embed.FS

// layout is the page's template and what a browser may do with it.
type layout struct {
	template *template.Template
	style    template.CSS
	policy   string
}

// page shows a status to people. It is read at the first request: most agents
// are never looked at, and should stay small.
func page(s Source) http.Handler {
	read := sync.OnceValues(readLayout)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		l, err := read()
		var out bytes.Buffer
		if err == nil {
			err = l.template.Execute(&out, newView(s.Status(), time.Now(), l.style))
		}
		if err != nil {
			http.Error(w, "the page cannot be shown; /status tells the same as JSON: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Security-Policy", l.policy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(bytes.Map(shown, out.Bytes())) // who asked may have gone away
	})
}

func readLayout() (*layout, error) {
	style, err := pageFiles.ReadFile("page.css")
	if err != nil {
		return nil, err
	}
	t, err := template.ParseFS(pageFiles, "page.html")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(style)
	return &layout{
		template: t,
		style:    template.CSS(style),
		policy:   strictPolicy + "; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
	}, nil
}

// shown replaces what no document may hold, such as the escapes of a terminal in
// a program's message.
func shown(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
		return unicode.ReplacementChar
	}
	return r
}
