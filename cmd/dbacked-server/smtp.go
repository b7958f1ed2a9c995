package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/dbacked/dbacked/pkg/server/alerts"
)

// smtpFlags say by which server mails leave.
type smtpFlags struct {
	Host string `name:"smtp-host" env:"DBACKED_SERVER_SMTP_HOST" placeholder:"HOST" help:"Mail server that alerts leave by. Its password is read from DBACKED_SERVER_SMTP_PASSWORD, or from the file that DBACKED_SERVER_SMTP_PASSWORD_FILE names."`
	Port int    `name:"smtp-port" env:"DBACKED_SERVER_SMTP_PORT" placeholder:"PORT" help:"Its port; else 587, 465 with --smtp-tls tls, 25 with none."`
	TLS  string `name:"smtp-tls" env:"DBACKED_SERVER_SMTP_TLS" enum:"starttls,tls,none" default:"starttls" help:"How the connection is encrypted: starttls, tls (from the first byte) or none."`
	User string `name:"smtp-user" env:"DBACKED_SERVER_SMTP_USER" placeholder:"NAME" help:"User to log in as; none without it."`
	From string `name:"smtp-from" env:"DBACKED_SERVER_SMTP_FROM" placeholder:"ADDRESS" help:"Sender of mails."`
}

const smtpPassword = "DBACKED_SERVER_SMTP_PASSWORD"

// server reads the password too, and checks what is there: nothing is fine, until a
// mail is to be sent.
func (s smtpFlags) server() (alerts.SMTP, error) {
	to := alerts.SMTP{Host: s.Host, Port: s.Port, TLS: s.TLS, User: s.User, From: s.From, Password: os.Getenv(smtpPassword)}
	if file := os.Getenv(smtpPassword + "_FILE"); file != "" {
		if to.Password != "" {
			return to, fmt.Errorf("%s and %[1]s_FILE are both set: keep one", smtpPassword)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return to, fmt.Errorf("%s_FILE: %w", smtpPassword, err)
		}
		to.Password = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	}
	if to.User != "" && to.Password == "" {
		return to, fmt.Errorf("--smtp-user needs a password: set %s or %[1]s_FILE", smtpPassword)
	}
	if to.Host == "" {
		return to, nil
	}
	return to, to.Check()
}
