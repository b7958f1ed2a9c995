package main

import (
	"github.com/dbacked/dbacked/pkg/config"
)

const settingsSyntax = `Each database to back up is an instance, and NAME.env in /etc/dbacked says all about it. The file belongs to root, with mode 0600; systemd reads it and gives the settings to the service.

It is read as systemd reads an EnvironmentFile=: one VARIABLE=value on a line. "$" means nothing. "#" and ";" begin a comment only at the start of a line. A value may be quoted with " or ', as in a shell, and a backslash at the end of a line continues it.

Flags go before the environment, that before NAME.env, that before config.json in the same folder, which is the former agent's. A credential counts only for what none of them sets. An unknown DBACKED_* name is an error. Other names (PG*, proxies) are passed to the database's tools.

Every secret can be given as a file instead, with _FILE after the name of its variable.`

const settingsCredentials = `A secret need not be in NAME.env. A file of one of these names, in /etc/credstore or /run/credstore, is given by systemd to the service of that instance alone, and found by the commands that root runs:`

// settingsPage is dbacked.env(5).
func settingsPage(settings []config.Setting, date string) string {
	p := newPage("dbacked.env", 5, date)
	p.name("dbacked.env", "what an instance of dbacked backs up, and how")
	p.section("SYNOPSIS")
	p.line("/etc/dbacked/" + italic("NAME") + ".env")
	p.section("DESCRIPTION")
	p.text(settingsSyntax)
	p.section("SETTINGS")
	for _, s := range settings {
		meaning := s.Meaning
		if s.Default != "" {
			meaning += "\nDefault: " + s.Default + "."
		}
		if s.Flag != "" {
			meaning += "\nFlag: " + s.Flag + "."
		}
		p.item(bold(s.Variable), meaning)
	}
	p.section("CREDENTIALS")
	p.text(settingsCredentials)
	for _, name := range credentialNames() {
		p.item(bold("dbacked.")+italic("NAME")+bold("."+name), "For "+config.Credentials()[name]+".")
	}
	p.section("EXAMPLES")
	p.text("PostgreSQL on this machine, each night, by peer authentication:")
	p.example("DBACKED_DB_TYPE=pg", "DBACKED_DB_NAME=shop", "DBACKED_DB_USERNAME=dbacked", "DBACKED_PUBLIC_KEY=/etc/dbacked/public.pem", "DBACKED_SCHEDULE=30 2 * * *", "DBACKED_TIMEZONE=Europe/Paris")
	p.next()
	p.text("MariaDB elsewhere, every six hours; the password is in /etc/credstore/dbacked.blog.db-password:")
	p.example("DBACKED_DB_TYPE=mysql", "DBACKED_DB_HOST=db.example.com", "DBACKED_DB_NAME=blog", "DBACKED_DB_USERNAME=dbacked", "DBACKED_DB_TLS_MODE=verify-full", "DBACKED_PUBLIC_KEY=/etc/dbacked/public.pem", "DBACKED_SCHEDULE=0 */6 * * *")
	p.seeAlso("dbacked(1)", "systemd.exec(5)", "systemd-creds(1)")
	return p.String()
}
