package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/config"
)

// dialLimit is how long a server may take to answer a person.
const dialLimit = 10 * time.Second

// Where Debian's servers listen.
const (
	postgresSocket = "/var/run/postgresql"
	mysqlSocket    = "/run/mysqld/mysqld.sock"
)

// server settles which server it is, and sees that somebody answers there.
func (w *wizard) server(ctx context.Context) error {
	d := w.draft
	err := w.group(ctx, func(context.Context) error { return nil },
		question{
			variable: "DBACKED_DB_TYPE", text: "Kind of database, pg (PostgreSQL) or mysql (MySQL, MariaDB)", fallback: likelyEngine,
			clean: engineOf,
			check: given("the kind of database"),
		},
	)
	if err != nil {
		return err
	}
	return w.group(ctx, w.dial,
		question{
			variable: "DBACKED_DB_HOST", text: "Its host, or the path of its socket", fallback: func() string { return likelyHost(d.values["DBACKED_DB_TYPE"]) },
		},
		question{
			variable: "DBACKED_DB_PORT", text: "Its port", fallback: func() string { return likelyPort(d.values["DBACKED_DB_TYPE"], d.values["DBACKED_DB_HOST"]) },
			skip: func() bool {
				return d.values["DBACKED_DB_TYPE"] == config.MySQL && filepath.IsAbs(d.values["DBACKED_DB_HOST"])
			},
		},
	)
}

// given is a check that there is an answer.
func given(what string) func(string) error {
	return func(value string) error {
		if value == "" {
			return errors.New(what + " is needed")
		}
		return nil
	}
}

// engineOf understands the engines' own names.
func engineOf(typed string) string {
	switch strings.ToLower(typed) {
	case "postgres", "postgresql":
		return config.Postgres
	case "mariadb":
		return config.MySQL
	}
	return strings.ToLower(typed)
}

func likelyEngine() string {
	_, pg := os.Stat(postgresSocket)
	_, my := os.Stat(mysqlSocket)
	if pg != nil && my == nil {
		return config.MySQL
	}
	return config.Postgres
}

func likelyHost(engine string) string {
	path := map[string]string{config.Postgres: postgresSocket, config.MySQL: mysqlSocket}[engine]
	if _, err := os.Stat(path); err == nil {
		return path
	}
	return "localhost"
}

// likelyPort is the usual one, or that of the only server that has a socket in
// the folder.
func likelyPort(engine, host string) string {
	if engine == config.MySQL {
		return "3306"
	}
	sockets, _ := filepath.Glob(filepath.Join(host, ".s.PGSQL.*[0-9]"))
	if filepath.IsAbs(host) && len(sockets) == 1 {
		return filepath.Ext(sockets[0])[1:]
	}
	return "5432"
}

// dial sees whether somebody answers.
func (w *wizard) dial(ctx context.Context) error {
	c, err := w.draft.partly()
	if err != nil {
		return err
	}
	network, address := "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	switch {
	case c.Socket() != "" && c.Type == config.Postgres:
		network, address = "unix", filepath.Join(c.Host, fmt.Sprintf(".s.PGSQL.%d", c.Port))
	case c.Socket() != "":
		network, address = "unix", c.Host
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		_ = conn.Close()
		w.good("a server answers at %s", address)
		return nil
	}
	if d := w.draft.values; d["DBACKED_DB_PORT"] == likelyPort(c.Type, c.Host) {
		d["DBACKED_DB_PORT"] = "" // another host may have another
	}
	err = fmt.Errorf("no server answers at %s: %w", address, reason(err))
	if w.flags.SkipChecks {
		w.warn(err.Error())
		w.draft.offer("DBACKED_DB_PORT", likelyPort(c.Type, c.Host))
		return nil
	}
	return err
}

// reason leaves of a network's error what is not said already.
func reason(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New(dns.Err)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// partly is the database as far as it is settled.
func (d *draft) partly() (config.Database, error) {
	environ := d.environ()
	for _, variable := range []string{"DBACKED_DB_USERNAME", "DBACKED_DB_NAME"} {
		if d.values[variable] == "" {
			environ = append(environ, variable+"=unknown")
		}
	}
	c, err := config.Load(d.name, config.Flags{}, environ, config.NeedDatabase)
	if err != nil {
		return config.Database{}, err
	}
	return c.Database, nil
}
