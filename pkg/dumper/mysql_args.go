package dumper

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.uber.org/zap"
)

// mysqlPacket is the longest packet that any server takes.
const mysqlPacket = 1 << 30

// mysqlSecret is the option file that gives a program the password. Its line
// has 4096 bytes at most, which no real password nears.
func mysqlSecret(password string) ([]byte, error) {
	if password == "" {
		return []byte("[client]\n"), nil
	}
	if strings.ContainsRune(password, 0) || len(password) > 1000 {
		return nil, errors.New("the database's password cannot be handed to the tools: it has a zero byte, or more than 1000")
	}
	return []byte("[client]\npassword=" + quoteMySQLOption(password) + "\n"), nil
}

// quoteMySQLOption writes a value so that an option file gives it back: in
// quotes, a "#" begins no comment and spaces at the ends stay; inside, the
// reader knows these escapes only.
func quoteMySQLOption(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\b", `\b`).Replace(s) + `"`
}

// program is a run of one of the tools; args follow those of the connection.
func (m *MySQL) program(ctx context.Context, path string, args ...string) (*tool, error) {
	secret, err := mysqlSecret(m.conn.Password)
	if err != nil {
		return nil, err
	}
	first, err := m.connectionArgs(ctx, path)
	if err != nil {
		return nil, err
	}
	return &tool{
		path: path, args: append(first, args...), env: m.environ(),
		secret: secret, password: m.conn.Password, stall: m.limits.Stall, stop: m.limits.Stop,
		warned: func(text string) { m.log.Warn("the tool warns", zap.String("tool", path), zap.String("stderr", text)) },
	}, nil
}

// connectionArgs are the options that lead a program to the server.
func (m *MySQL) connectionArgs(ctx context.Context, path string) ([]string, error) {
	args := []string{
		"--defaults-file=" + secretFile, "--user=" + m.username(),
		"--default-character-set=utf8mb4", "--max-allowed-packet=" + strconv.Itoa(mysqlPacket),
	}
	if m.socket() {
		args = append(args, "--protocol=socket", "--socket="+m.conn.Host)
		oracle, err := m.knows(ctx, path, "ssl-mode")
		if !oracle { // newer ones of MariaDB want TLS on a socket too
			args = append(args, "--skip-ssl")
		}
		return args, err
	}
	args = append(args, "--protocol=tcp", "--host="+m.host(), "--port="+strconv.Itoa(m.conn.Port))
	tls, err := m.tlsArgs(ctx, path)
	return append(args, tls...), err
}

// tlsArgs are the TLS options that a program knows.
func (m *MySQL) tlsArgs(ctx context.Context, path string) ([]string, error) {
	oracle, err := m.knows(ctx, path, "ssl-mode")
	if err != nil {
		return nil, err
	}
	mode := m.tlsMode()
	var args []string
	switch {
	case oracle:
		names := map[string]string{"disable": "DISABLED", "prefer": "PREFERRED", "require": "REQUIRED", "verify-ca": "VERIFY_CA", "verify-full": "VERIFY_IDENTITY"}
		args = append(args, "--ssl-mode="+names[mode])
		if mode == "disable" || mode == "prefer" {
			key, err := m.knows(ctx, path, "get-server-public-key")
			if err != nil {
				return nil, err
			}
			if key { // without TLS, caching_sha2_password asks for it
				args = append(args, "--get-server-public-key")
			}
		}
	case mode == "disable":
		return []string{"--skip-ssl"}, nil
	case mode == "verify-ca" || mode == "verify-full":
		args = append(args, "--ssl", "--ssl-verify-server-cert")
	default:
		// MariaDB's programs cannot be told to insist: that the server has TLS
		// was seen by this process's own connection.
		args = append(args, "--ssl", "--skip-ssl-verify-server-cert")
	}
	if mode == "disable" {
		return args, nil
	}
	for option, value := range map[string]string{"--ssl-ca=": m.conn.TLS.CA, "--ssl-cert=": m.conn.TLS.Cert, "--ssl-key=": m.conn.TLS.Key} {
		if value != "" {
			args = append(args, option+value)
		}
	}
	return args, nil
}

// dumpArgs are the options of a dump.
func (m *MySQL) dumpArgs(ctx context.Context, s *mysqlSession, t mysqlTool) ([]string, error) {
	args := []string{
		"--single-transaction", "--quick", "--routines", "--triggers", "--events", "--hex-blob",
		// Its query needs PROCESS, and finds only what NDB has.
		"--no-tablespaces",
	}
	for _, o := range []string{"set-gtid-purged=OFF", "column-statistics=0", "init-command=" + m.initCommand()} {
		name, _, _ := strings.Cut(o, "=")
		known, err := m.knows(ctx, t.path, name)
		if err != nil {
			return nil, err
		}
		if known {
			args = append(args, "--"+o)
		}
	}
	masking, err := m.knows(ctx, t.path, "masking-policies")
	if err != nil {
		return nil, err
	}
	if masking && !s.readsPolicies(ctx) {
		args = append(args, "--skip-masking-policies")
	}
	return append(append(args, m.tools.Options...), "--", m.conn.Database), nil
}

// initCommand lets the dump's session wait no longer for a lock than it may,
// and the server wait for a reader that pauses.
func (m *MySQL) initCommand() string {
	set := "SET SESSION net_write_timeout=86400, net_read_timeout=86400"
	if m.limits.Lock > 0 {
		set += fmt.Sprintf(", lock_wait_timeout=%d", max(1, int(m.limits.Lock.Seconds())))
	}
	return set + " /*!50708 , max_execution_time=0 */"
}

// readsPolicies says whether the account may read the data masking policies,
// which newer servers of MySQL can have.
func (s *mysqlSession) readsPolicies(ctx context.Context) bool {
	_, err := s.rows(ctx, "SELECT 1 FROM mysql.column_masking_policy LIMIT 1")
	return !isDenied(err)
}
