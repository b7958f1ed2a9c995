package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/server/alerts"
)

// TestSMTPSettings reads the password from the environment, or from a file.
func TestSMTPSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("pass-77777\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := smtpFlags{Host: "mail.example.org", TLS: alerts.TLSStart, User: "u", From: "dbacked@example.org"}
	if _, err := flags.server(); err == nil {
		t.Error("a user without a password")
	}
	t.Setenv(smtpPassword+"_FILE", file)
	s, err := flags.server()
	if err != nil || s.Password != "pass-77777" || strings.Contains(s.String(), "77777") {
		t.Errorf("%s, %v", s, err)
	}
	t.Setenv(smtpPassword, "other")
	if _, err := flags.server(); err == nil {
		t.Error("two passwords")
	}
	t.Setenv(smtpPassword+"_FILE", "")
	flags.From = ""
	if _, err := flags.server(); err == nil || !strings.Contains(err.Error(), "SMTP_FROM") {
		t.Errorf("without a sender: %v", err)
	}
	flags = smtpFlags{}
	if _, err := flags.server(); err != nil {
		t.Errorf("without a mail server: %v", err)
	}
}
