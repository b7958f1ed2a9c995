package dbtest

import (
	_ "embed"
	"testing"
)

//go:embed sample/postgresql.sql
var postgresSample string

//go:embed sample/mysql.sql
var mysqlSample string

// Sample makes a database that holds what dump and restore tools stumble over:
// odd names, circular keys, triggers that raise, large objects, a 15 MB row …
func (s *Server) Sample(t testing.TB, db string) {
	t.Helper()
	if s.Engine == "postgresql" {
		s.SQL(t, "postgres", `CREATE DATABASE "`+db+`"`)
		s.SQL(t, db, postgresSample)
		return
	}
	s.SQL(t, "", "CREATE DATABASE `"+db+"` CHARACTER SET utf8mb4")
	s.SQL(t, db, "SET SESSION sql_mode = '';\n"+mysqlSample)
}
