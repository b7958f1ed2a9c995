package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dbacked/dbacked/pkg/config"
)

// runSQL runs statements as an administrator, and returns the rows of the last.
// On PostgreSQL it is all of them or none.
func runSQL(ctx context.Context, c *config.Config, statements []string) ([][]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*c.Timeouts.Connect)
	defer cancel()
	if c.Database.Type == config.MySQL {
		return runMySQL(ctx, c, statements)
	}
	return runPostgres(ctx, c, statements)
}

func runPostgres(ctx context.Context, c *config.Config, statements []string) ([][]string, error) {
	d := c.Database
	var info strings.Builder
	for key, value := range map[string]string{
		"host": d.Host, "port": strconv.Itoa(d.Port), "user": d.Username, "password": d.Password.Reveal(), "dbname": d.Name,
		"sslmode": d.TLS.Mode, "sslrootcert": d.TLS.CA, "sslcert": d.TLS.Cert, "sslkey": d.TLS.Key,
		"connect_timeout": strconv.Itoa(int(c.Timeouts.Connect.Seconds())), "application_name": "dbacked init",
	} {
		if value != "" {
			fmt.Fprintf(&info, "%s='%s' ", key, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value))
		}
	}
	settings, err := pgx.ParseConfig(info.String())
	if err != nil {
		return nil, errors.New("the connection's settings cannot be used") // its text may hold the password
	}
	settings.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(ctx, settings)
	if err != nil {
		return nil, shortPostgres(err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // all is said and done
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, shortPostgres(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after a commit there is nothing to roll back
	var out [][]string
	for _, statement := range statements {
		if out, err = pgRows(ctx, tx, statement); err != nil {
			return nil, shortPostgres(err)
		}
	}
	return out, shortPostgres(tx.Commit(ctx))
}

func pgRows(ctx context.Context, tx pgx.Tx, statement string) ([][]string, error) {
	rows, err := tx.Query(ctx, statement)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]string, error) {
		var cells []string
		for _, raw := range row.RawValues() { // the simple protocol's are text
			cells = append(cells, string(raw))
		}
		return cells, nil
	})
}

// shortPostgres leaves of an error what the server said: drivers put the whole
// connection around it.
func shortPostgres(err error) error {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Errorf("%s (%s)", said.Message, said.Code)
	}
	if err != nil {
		return errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	return nil
}

func runMySQL(ctx context.Context, c *config.Config, statements []string) ([][]string, error) {
	d := c.Database
	settings := mysql.NewConfig()
	settings.User, settings.Passwd, settings.Logger = d.Username, d.Password.Reveal(), &mysql.NopLogger{}
	settings.Net, settings.Addr, settings.Timeout = "tcp", net.JoinHostPort(d.Host, strconv.Itoa(d.Port)), c.Timeouts.Connect
	settings.Params = map[string]string{"sql_mode": "''"}
	if d.Socket() != "" {
		settings.Net, settings.Addr = "unix", d.Host
	} else if err := mysqlTLS(settings, d); err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(settings)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetMaxOpenConns(1)
	var out [][]string
	for _, statement := range statements {
		if out, err = mysqlRows(ctx, db, statement); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// mysqlTLS protects an administrator's connection as the dump's is.
func mysqlTLS(settings *mysql.Config, d config.Database) error {
	mode := d.TLS.Mode
	if mode == "disable" {
		return nil
	}
	settings.AllowFallbackToPlaintext = mode == "prefer"
	settings.TLS = &tls.Config{ServerName: d.Host, InsecureSkipVerify: mode == "prefer" || mode == "require"}
	if d.TLS.CA != "" {
		pem, err := os.ReadFile(d.TLS.CA)
		if err != nil {
			return err
		}
		settings.TLS.RootCAs = x509.NewCertPool()
		settings.TLS.RootCAs.AppendCertsFromPEM(pem)
	}
	if d.TLS.Cert != "" {
		pair, err := tls.LoadX509KeyPair(d.TLS.Cert, d.TLS.Key)
		if err != nil {
			return err
		}
		settings.TLS.Certificates = []tls.Certificate{pair}
	}
	return nil
}

func mysqlRows(ctx context.Context, db *sql.DB, statement string) ([][]string, error) {
	rows, err := db.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out [][]string
	for rows.Next() {
		cells := make([]sql.NullString, len(columns))
		into := make([]any, len(cells))
		for n := range cells {
			into[n] = &cells[n]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		var row []string
		for _, cell := range cells {
			row = append(row, cell.String)
		}
		out = append(out, row)
	}
	return out, rows.Err()
}
