package main

import "strings"

const overview = `dbacked backs up PostgreSQL and MySQL or MariaDB databases, encrypted, and brings them back. It runs the database's own dump program, compresses what that writes, encrypts it to a public key and stores it: streaming, with memory that does not grow with the database, and nothing in the clear on any disk. The machine that makes a backup cannot read it.

A backup counts only when it was proved: the dump was whole, every file was stored whole, and a signed manifest was written last. A restore checks who made the backup before a single statement of it runs.

Each database is an instance: NAME is what you call it, /etc/dbacked/NAME.env says what it is, and dbacked@NAME is the service that backs it up by its schedule.`

// manualPlaces are the places that an administrator asks for.
func manualPlaces() [][2]string {
	return [][2]string{
		{"/etc/dbacked/NAME.env", "The settings of an instance: see dbacked.env(5). Root's, mode 0600."},
		{"/etc/credstore/dbacked.NAME.db-password", "The password, when it is not in there."},
		{"/var/lib/dbacked/NAME", "The backups of an instance, unless DBACKED_STORAGE says otherwise."},
		{"/var/lib/dbacked/NAME/.state", "What the instance remembers: its signing key, the last backup it saw."},
		{"/run/dbacked/NAME.sock", "The status of a running instance, by HTTP: a page (/), JSON (/status), metrics (/metrics), health (/healthz). For root and the group dbacked."},
		{"/usr/share/doc/dbacked/examples", "An env file, and drop-ins: storage in another place, mail when a backup fails, the status by TCP, encrypted credentials; policies for a bucket."},
	}
}

// manualUnits are what systemd is told to do.
func manualUnits() [][2]string {
	return [][2]string{
		{"dbacked@NAME.service", "Makes the backups of an instance. SIGUSR1 asks for one now; SIGUSR2 ends the agent after the run at hand, and systemd starts it anew; SIGHUP only checks the configuration again, since a restart is what reads it."},
		{"dbacked-health@NAME.timer", "Looks each hour whether the instance is healthy; dbacked-failure@NAME.service is started when it is not."},
		{"dbacked-verify@NAME.timer", "Reads the newest backup back each week."},
		{"dbacked.target", "All of them, to stop and to start."},
	}
}

// overviewPage is dbacked(1).
func overviewPage(commands []commandDoc, date string) string {
	p := newPage("dbacked", 1, date)
	p.name("dbacked", "encrypted backups of PostgreSQL, MySQL and MariaDB")
	p.section("SYNOPSIS")
	p.line(bold("dbacked") + " " + italic("command") + " [" + italic("NAME") + "] [" + italic("flags") + "]")
	p.section("DESCRIPTION")
	p.text(overview)
	p.section("COMMANDS")
	for _, c := range commands {
		p.item(`\fBdbacked\-`+escape(c.name)+`\fR(1)`, c.summary)
	}
	p.next()
	p.text("Each has --help. Data goes to standard output and everything else to standard error.")
	p.section("UNITS")
	for _, u := range manualUnits() {
		p.item(withName(u[0]), u[1])
	}
	exitSection(p)
	p.section("FILES")
	for _, f := range manualPlaces() {
		p.item(withName(f[0]), f[1])
	}
	p.section("EXAMPLES")
	p.text("Back up a database each night from now on:")
	p.example("dbacked keygen", "install -D -m 644 dbacked-public.pem /etc/dbacked/public.pem", "install -m 600 /usr/share/doc/dbacked/examples/shop.env /etc/dbacked/shop.env", "editor /etc/dbacked/shop.env", "dbacked check shop", "systemctl enable --now dbacked@shop", "journalctl -u dbacked@shop")
	pages := make([]string, 0, len(commands)+4)
	for _, c := range commands {
		pages = append(pages, "dbacked-"+c.name+"(1)")
	}
	p.seeAlso(append(pages, "dbacked.env(5)", "dbacked-format(5)", "systemctl(1)", "journalctl(1)")...)
	return p.String()
}

// withName sets a path or a unit, with NAME as what it is: to be replaced.
func withName(text string) string {
	before, after, found := strings.Cut(text, "NAME")
	if !found {
		return bold(text)
	}
	return bold(before) + italic("NAME") + bold(after)
}
