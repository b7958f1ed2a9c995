package dumper

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mysqlQueryLimit bounds a question to the server that the preflight asks.
const mysqlQueryLimit = time.Minute

// mysqlSession is one connection of this process's own.
type mysqlSession struct {
	db     *sql.DB
	server mysqlServer
}

// open connects to a database, or to none if its name is empty.
func (m *MySQL) open(ctx context.Context, database string) (*mysqlSession, error) {
	cfg, err := m.config(database)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", m.where(), err)
	}
	s := &mysqlSession{db: sql.OpenDB(connector)}
	s.db.SetMaxOpenConns(1)
	if m.limits.Connect > 0 {
		limited, cancel := context.WithTimeout(ctx, m.limits.Connect)
		defer cancel()
		ctx = limited
	}
	if err := s.greet(ctx); err != nil {
		s.close()
		return nil, m.explain(fmt.Errorf("connecting to %s: %w", m.where(), err))
	}
	return s, nil
}

// config is the connection as the driver wants it.
func (m *MySQL) config(database string) (*mysql.Config, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = m.username(), m.conn.Password, database
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(m.host(), strconv.Itoa(m.conn.Port))
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = m.limits.Connect, mysqlQueryLimit, mysqlQueryLimit
	cfg.Collation = "utf8mb4_general_ci" // both engines know it
	cfg.InterpolateParams = true
	cfg.Params = map[string]string{"sql_mode": "''", "sql_quote_show_create": "1"}
	cfg.Logger = &mysql.NopLogger{}
	if m.socket() {
		cfg.Net, cfg.Addr = "unix", m.conn.Host
		return cfg, nil
	}
	var err error
	cfg.TLS, err = m.tlsConfig()
	cfg.AllowFallbackToPlaintext = m.tlsMode() == "prefer"
	return cfg, err
}

func (m *MySQL) socket() bool { return strings.HasPrefix(m.conn.Host, "/") }

func (m *MySQL) host() string {
	if m.conn.Host == "" {
		return "localhost"
	}
	return m.conn.Host
}

// username is the account's name; without one it is the system's user's, as for
// the tools.
func (m *MySQL) username() string {
	if m.conn.Username != "" {
		return m.conn.Username
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "root"
}

// where names the server in messages.
func (m *MySQL) where() string {
	if m.socket() {
		return m.conn.Host
	}
	return net.JoinHostPort(m.host(), strconv.Itoa(m.conn.Port))
}

// tlsMode is TLS.Mode with its default; an authority makes "require" check it,
// as in libpq.
func (m *MySQL) tlsMode() string {
	switch {
	case m.conn.TLS.Mode == "":
		return "prefer"
	case m.conn.TLS.Mode == "require" && m.conn.TLS.CA != "":
		return "verify-ca"
	}
	return m.conn.TLS.Mode
}

// tlsConfig is nil if TLS is off.
func (m *MySQL) tlsConfig() (*tls.Config, error) {
	mode := m.tlsMode()
	if mode == "disable" {
		return nil, nil
	}
	c := &tls.Config{ServerName: m.host(), InsecureSkipVerify: mode != "verify-full"}
	if m.conn.TLS.CA != "" {
		pem, err := os.ReadFile(m.conn.TLS.CA)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", m.conn.TLS.CA)
		}
	}
	if m.conn.TLS.Cert != "" {
		pair, err := tls.LoadX509KeyPair(m.conn.TLS.Cert, m.conn.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("reading the client's certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if mode == "verify-ca" {
		c.VerifyConnection = func(state tls.ConnectionState) error { return verifyChain(state, c.RootCAs) }
	}
	return c, nil
}

// verifyChain checks a server's certificate, but not whose name it bears.
func verifyChain(state tls.ConnectionState, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server shows no certificate")
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(o)
	return err
}

// greet connects and asks the server what it is.
func (s *mysqlSession) greet(ctx context.Context) error {
	rows, err := s.rows(ctx, "SELECT version(), @@version_comment, current_user(), @@lower_case_table_names")
	if err != nil {
		return err
	}
	r := rows[0]
	s.server = mysqlServer{engine: "mysql", text: r[0], version: parseMySQLVersion(r[0]), account: r[2], fold: r[3] != "0"}
	if strings.Contains(r[0]+r[1], "MariaDB") || strings.Contains(r[1], "mariadb") {
		s.server.engine = "mariadb"
	}
	return nil
}

func (s *mysqlSession) close() { _ = s.db.Close() }

// rows returns what a query gives, NULL as "".
func (s *mysqlSession) rows(ctx context.Context, query string, args ...any) ([][]string, error) {
	_, out, err := s.table(ctx, query, args...)
	return out, err
}

// table is rows with the columns' names.
func (s *mysqlSession) table(ctx context.Context, query string, args ...any) (columns []string, out [][]string, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	if columns, err = rows.Columns(); err != nil {
		return nil, nil, err
	}
	for rows.Next() {
		cells := make([]sql.NullString, len(columns))
		into := make([]any, len(cells))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, nil, err
		}
		row := make([]string, len(cells))
		for i, c := range cells {
			row[i] = c.String
		}
		out = append(out, row)
	}
	return columns, out, rows.Err()
}

// column returns the first column of what a query gives.
func (s *mysqlSession) column(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := s.rows(ctx, query, args...)
	out := make([]string, 0, len(rows))
	for _, r := range rows {
		out = append(out, r[0])
	}
	return out, err
}

// exec runs a statement.
func (s *mysqlSession) exec(ctx context.Context, statement string) error {
	_, err := s.db.ExecContext(ctx, statement)
	return err
}
