package config

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestWrongValues: each wrong value is one problem that names variable, flag and place, and says what would do.
func TestWrongValues(t *testing.T) {
	for _, test := range []struct{ variable, value, says string }{
		{varDBType, "oracle", "use pg or mysql"},
		{varDBPort, "abc", "from 1 to 65535"},
		{varDBPort, "65536", "from 1 to 65535"},
		{varDBHost, "db.example.org:5432", "give the port as DBACKED_DB_PORT (--db-port)"},
		{varDBHost, "postgres://u:hunter2@h/db", "it is not a host"},
		{varDBHost, "user@host", "it is not a host"},
		{varDBHost, "-hx", "is not a host name"},
		{varDBHost, "a,b", "is not a host name"},
		{varDBHost, "a b", "is not a host name"},
		{varDBHost, "a\x1b[31m", "is not a host name"},
		{varDumperOptions, "--a='b", "never closed"},
		{varToolsPath, "bin", "not an absolute path"},
		{varToolsPath, "/nonexistent", "no such file"},
		{varToolsPath, "/etc/passwd", "not a folder"},
		{varDBTLSMode, "on", "disable, prefer, require, verify-ca, verify-full"},
		{varDBTLSCA, "/nonexistent", "/nonexistent: there is no such file"},
		{varDBTLSCA, "/etc", "it is a folder"},
		{varStorage, "s3://key:hunter2@bucket/x?sig=hunter2", "it holds credentials"},
		{varStorage, "s3://bucket/x?sig=hunter2", "no parameters"},
		{varStorage, "s3://bucket:9000/x", "DBACKED_S3_ENDPOINT"},
		{varStorage, "s3:///x", "s3://BUCKET/PREFIX"},
		{varStorage, "s3://bucket/a/../b", "an empty part"},
		{varStorage, "s3://bucket/a//b", "an empty part"},
		{varStorage, "gs://bucket/hunter2", `the kind "gs" does not exist in this version: what exists is a local folder, file:///`},
		{varUploadRate, "fast", "write 20MB"},
		{varUploadRate, "1B", "at least"},
		{varUploadMemory, "1MB", "at least"},
		{varStorage, "https://h/x?token=hunter2", `the kind "https"`},
		{varStorage, "/srv/backups", "file:///srv/backups"},
		{varStorage, "backups", "no scheme"},
		{varStorage, "file://srv/backups", "three slashes"},
		{varStorage, "file://u:hunter2@/srv", "three slashes"},
		{varStorage, "file:backups", "not absolute"},
		{varStorage, "file:///a?b=hunter2", "no parameters"},
		{varStorage, "file:///a#b", "no parameters"},
		{varStorage, "file:///a%00b", "not absolute"},
		{varStorage, "file:///%zz-hunter2", "not a URL"},
		{varCompression, "zstd:20", "zstd:1 to zstd:19"},
		{varCompression, "zstd:0", "zstd:1 to zstd:19"},
		{varCompression, "zstd:+3", "zstd:1 to zstd:19"},
		{varCompression, "lz4", "is no compression"},
		{varFormat, "2", "use 1, or legacy"},
		{varConnectTimeout, "30", "write 30s, 5m or 1h30m"},
		{varLockTimeout, "5min", "write 30s, 5m or 1h30m"},
		{varStallTimeout, "0s", "without an end"},
		{varStopTimeout, "-1s", "without an end"},
		{varJobs, "0", "use 1 to 64"},
		{varJobs, "many", "use 1 to 64"},
		{varBlockLimit, "-1s", "use 0 for no limit"},
		{varBlockLimit, "60", "write 30s, 5m or 1h30m"},
		{varLargeTable, "big", "write 20MB or 64MiB"},
		{varCountRows, "maybe", "use true or false"},
		{varTimezone, "Europe/Pairs", "use a name such as Europe/Paris"},
		{varRandomDelay, "10", "write 10m or 1h"},
		{varRandomDelay, "-1m", "write 10m or 1h"},
		{varListen, "9480", "use host:port"},
		{varListen, "localhost:", "use host:port"},
		{varPingURL, "ftp://hunter2/x", "use https://host/path"},
		{varPingURL, "hunter2", "use https://host/path"},
		{varKeepLast, "seven", "write 7, or 0 for no such rule"},
		{varKeepDaily, "-1", "write 7, or 0 for no such rule"},
		{varKeepWeekly, "1.5", "is not a number of backups"},
		{varKeepMonthly, "1000001", "is not a number of backups"},
		{varKeepYearly, "1y", "is not a number of backups"},
		{varKeepFor, "30", "write 48h, 30d or 8w"},
		{varKeepMinimum, "-1d", "write 48h, 30d or 8w"},
		{varTrust, "hunter", "is not a verifier key"},
		{varPublicKey, "/nonexistent", "not PEM text, and as a file /nonexistent: there is no such file"},
		{varPublicKey, "MIIBIjANBg kqhki hunter2", "as a file the given text: "},
		{varPublicKey, "-----BEGIN PUBLIC KEY-----\nMIIB", `there is no "-----END PUBLIC KEY-----"`},
		{varPublicKey, "-----BEGIN X-----\n!hunter2\n-----END X-----", "not base64"},
		{varPublicKey, "-----BEGINX", "no PEM block"},
		{varPublicKey, "-----BEGIN PUBLIC\nKEY-----", "first line of the PEM text is damaged"},
		{varPrivateKey, "hunter2", "neither PEM text"},
		{varPrivateKey, "/nonexistent", "/nonexistent: there is no such file"},
		{varPrivateKey, "-----BEGIN PRIVATE KEY----- hunter2", "is cut"},
		{varPrivateKey, "-----BEGIN PUBLIC KEY-----\naGk=\n-----END PUBLIC KEY-----", "another kind of PEM block"},
		{varPrivateKey + fileSuffix, "-----BEGIN PRIVATE KEY-----hunter2", "takes a file's path, not the key"},
		{varDBPassword + fileSuffix, "/nonexistent", "/nonexistent: there is no such file"},
	} {
		environ := with(minimal(t), test.variable, test.value)
		got := problems(t, setup{need: all | WantPrivateKey | NeedSchedule | WantRetention, environ: environ})
		wantOne(t, got, newLoader(0).setting(test.variable).String()+", set in the environment: ", test.says)
		if text := strings.Join(got, "\n"); len(got) != 1 || strings.Contains(text, "hunter2") || strings.Contains(text, "\x1b") {
			t.Errorf("%s=%s: %q", test.variable, test.value, got)
		}
	}
}

func TestRightValues(t *testing.T) {
	for _, test := range []struct {
		variable, value string
		want            string
		got             func(*Config) string
	}{
		{varDBType, "postgres", "pg", func(c *Config) string { return c.Database.Type }},
		{varDBType, "PostgreSQL", "pg", func(c *Config) string { return c.Database.Type }},
		{varDBType, "mariadb", "mysql", func(c *Config) string { return c.Database.Type }},
		{varDBHost, "/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock", func(c *Config) string { return c.Database.Socket() }},
		{varDBHost, "fe80::1%eth0", "fe80::1%eth0", func(c *Config) string { return c.Database.Host }},
		{varDBHost, "10.0.0.1", "10.0.0.1", func(c *Config) string { return c.Database.Host }},
		{varDBHost, "db_1.example.org", "db_1.example.org", func(c *Config) string { return c.Database.Host }},
		{varStorage, "file://localhost/a/../b", "file:///b", func(c *Config) string { return c.Storage.String() }},
		{varStorage, "s3://bucket/a/b/", "s3://bucket/a/b", func(c *Config) string { return c.Storage.String() }},
		{varStorage, "s3://bucket", "s3://bucket", func(c *Config) string { return c.Storage.String() }},
		{varUploadRate, "20MB/s", "20000000", func(c *Config) string { return fmt.Sprint(c.Storage.Upload.Rate) }},
		{varUploadMemory, "64 MiB", "67108864", func(c *Config) string { return fmt.Sprint(c.Storage.Upload.Memory) }},
		{varJobs, "1", "1", func(c *Config) string { return fmt.Sprint(c.Parallel.Jobs) }},
		{varJobs, "", fmt.Sprint(max(2, runtime.GOMAXPROCS(0)/2)), func(c *Config) string { return fmt.Sprint(c.Parallel.Jobs) }},
		{varBlockLimit, "", "1m0s", func(c *Config) string { return c.Parallel.BlockLimit.String() }},
		{varBlockLimit, "0", "0s", func(c *Config) string { return c.Parallel.BlockLimit.String() }},
		{varLargeTable, "200kB", "200000", func(c *Config) string { return fmt.Sprint(c.Parallel.LargeTable) }},
		{varCountRows, "", "false", func(c *Config) string { return fmt.Sprint(c.Parallel.CountRows) }},
		{varCountRows, "true", "true", func(c *Config) string { return fmt.Sprint(c.Parallel.CountRows) }},
		{varCompression, "none", "none", func(c *Config) string { return c.Compression }},
		{varCompression, "zstd:1", "zstd:1", func(c *Config) string { return c.Compression }},
		{varSchedule, "", "@daily", func(c *Config) string { return c.Agent.Schedule }},
		{varTimezone, "", "Local", func(c *Config) string { return c.Agent.Zone.String() }},
		{varTimezone, "Europe/Paris", "Europe/Paris", func(c *Config) string { return c.Agent.Zone.String() }},
		{varRandomDelay, "10m", "10m0s", func(c *Config) string { return c.Agent.RandomDelay.String() }},
		{varListen, "[::1]:9480", "[::1]:9480", func(c *Config) string { return c.Agent.Listen }},
		{varListen, "/run/x/../y.sock", "/run/y.sock", func(c *Config) string { return c.Agent.Listen }},
		{varPingURL, "https://hc.example.org/u-u-i-d", "https://hc.example.org/u-u-i-d", func(c *Config) string { return c.Agent.PingURL.Reveal() }},
		{varDBPassword, "", "", func(c *Config) string { return c.Database.Password.Reveal() }},
	} {
		c := mustLoad(t, setup{need: all | NeedSchedule, environ: with(minimal(t), test.variable, test.value)})
		if got := test.got(c); got != test.want {
			t.Errorf("%s=%s: got %q, want %q", test.variable, test.value, got, test.want)
		}
	}
}

func TestTLSFilesGoTogether(t *testing.T) {
	cert := write(t, "x", 0o600)
	got := problems(t, setup{need: all, environ: with(minimal(t), varDBTLSCert, cert)})
	wantOne(t, got, "DBACKED_DB_TLS_CERT (--db-tls-cert) and DBACKED_DB_TLS_KEY (--db-tls-key) go together")
	c := mustLoad(t, setup{need: all, environ: with(minimal(t),
		varDBTLSCert, cert, varDBTLSKey, write(t, "x", 0o604), varDBTLSMode, "disable")})
	wantOne(t, c.Warnings, "so the certificates that are given are not used")
	wantOne(t, c.Warnings, "DBACKED_DB_TLS_KEY (--db-tls-key): every user of this machine can read", "chmod 600")
}

func TestUnknownNames(t *testing.T) {
	got := problems(t, setup{
		environ: map[string]string{"DBACKED_DB_PASWORD": "hunter2", "dbacked_db_host": "h"},
		envFile: "A=1\nDBACKED_DB_NAM=x\nDBACKED_QUITE_ANOTHER_THING=1\nDB_PASSWORD=x\nDbacked_Storage=x\n",
	})
	wantOne(t, got, "environment: DBACKED_DB_PASWORD is not a setting, did you mean DBACKED_DB_PASSWORD?")
	wantOne(t, got, "environment: dbacked_db_host is not a setting, did you mean DBACKED_DB_HOST?")
	wantOne(t, got, "DIR/shop.env:2: DBACKED_DB_NAM is not a setting, did you mean DBACKED_DB_NAME?")
	wantOne(t, got, "DIR/shop.env:3: DBACKED_QUITE_ANOTHER_THING is not a setting: see")
	wantOne(t, got, "DIR/shop.env:5: Dbacked_Storage is not a setting, did you mean DBACKED_STORAGE?")
	if len(got) != 5 {
		t.Errorf("%q", got)
	}
	c := mustLoad(t, setup{envFile: "DB_PASSWORD=x\n"})
	wantOne(t, c.Warnings, "shop.env:1: DB_PASSWORD is not dbacked's, did you mean DBACKED_DB_PASSWORD?")
}

func TestEnvFileProblems(t *testing.T) {
	got := problems(t, setup{envFile: "A=1\nexport DBACKED_DB_NAME=x\nB\nC=1 # c\n"})
	wantOne(t, got, `DIR/shop.env:2: "export"`)
	wantOne(t, got, `DIR/shop.env:3: there is no "="`)
	if len(got) != 2 {
		t.Errorf("%q", got)
	}
	c := mustLoad(t, setup{envFile: "C=1 # c\n"})
	wantOne(t, c.Warnings, "/shop.env:1: the \"#\" is part of the value")
	wantOne(t, problems(t, setup{envFile: strings.Repeat("#\n", maxFile/2) + "\n"}), "DIR/shop.env: it is larger than 1048576 bytes")
	mustLoad(t, setup{envFile: strings.Repeat("#\n", maxFile/2)})
}

func TestPathsInFilesAreAbsolute(t *testing.T) {
	got := problems(t, setup{
		need: all, environ: with(minimal(t), varPublicKey, ""),
		envFile: "DBACKED_PUBLIC_KEY=public.pem\nDBACKED_DB_PASSWORD_FILE=./pw\nDBACKED_STATE_DIRECTORY=state\n", json: `{"dbTlsCa": "ca.pem"}`,
	})
	for _, place := range []string{"shop.env:1", "shop.env:2", "shop.env:3", "config.json"} {
		wantOne(t, got, "set in DIR/"+place+": a path in a file of settings must be absolute")
	}
}

func TestSplitWords(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		" a  b\tc\n":               "a|b|c",
		`--x='a b' "c d"e \  f`:    `--x=a b|c de| |f`,
		`"a\"b\$c\\d\ne" 'f\'`:     `a"b$c\d\ne|f\`,
		`'' ""`:                    "|",
		`$HOME ~ * $(id)`:          `$HOME|~|*|$(id)`,
		`a\`:                       `a\`,
		"--where=\"id > 'x y'\" é": "--where=id > 'x y'|é",
	} {
		got, err := splitWords(text)
		if err != nil || strings.Join(got, "|") != want {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, open := range []string{`"`, `'a`, `a "b\"`} {
		if _, err := splitWords(open); err == nil {
			t.Errorf("%q: no error", open)
		}
	}
}

func FuzzSplitWords(f *testing.F) {
	f.Add(`--x='a b' "c d"e \  f`)
	f.Add("'' \x00 \\")
	f.Fuzz(func(t *testing.T, text string) {
		words, err := splitWords(text)
		if err != nil {
			return
		}
		var quoted []string
		for _, word := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
		}
		again, err := splitWords(strings.Join(quoted, " "))
		if err != nil || strings.Join(again, "|") != strings.Join(words, "|") || len(again) != len(words) {
			t.Errorf("%q: %q became %q, %v", text, words, again, err)
		}
	})
}

// TestBucket: what belongs to a bucket is read with it, and wrong values are named.
func TestBucket(t *testing.T) {
	environ := with(minimal(t), varStorage, "s3://bucket/prefix", varS3Endpoint, "https://s3.example.org", varS3AccessKey, "key",
		varS3SecretKey+fileSuffix, write(t, "hunter2\n", 0o600), varS3MaxParts, "1000", varS3ObjectLock, "compliance:30d", varOrphanAge, "2d")
	s := mustLoad(t, setup{need: all, environ: environ}).Storage
	if s.Bucket != "bucket" || s.Prefix != "prefix" || s.S3.SecretKey.Reveal() != "hunter2" || s.S3.MaxParts != 1000 ||
		s.S3.LockMode != "compliance" || s.S3.LockFor != 30*day || s.OrphanAge != 2*day {
		t.Errorf("%+v", s)
	}
	if text := fmt.Sprintf("%v %+v", s, s); strings.Contains(text, "hunter2") {
		t.Errorf("it shows a secret: %s", text)
	}
	for _, wrong := range [][3]string{
		{varS3MaxParts, "0", "1 to 10000"},
		{varS3ObjectLock, "forever", "compliance:30d"},
		{varS3ObjectLock, "compliance:-1d", "compliance:30d"},
		{varOrphanAge, "week", "12h or 7d"},
		{varS3CA, "/nonexistent", "no such file"},
	} {
		wantOne(t, problems(t, setup{need: all, environ: with(environ, wrong[0], wrong[1])}), wrong[0], wrong[2])
	}
	wantOne(t, problems(t, setup{need: all, environ: with(minimal(t), varStorage, "s3://bucket", varS3AccessKey, "key")}),
		"DBACKED_S3_ACCESS_KEY_ID and DBACKED_S3_SECRET_ACCESS_KEY go together")
}

// TestLock: what keeps the lock is read with the storage, and asks for the database
// where that does.
func TestLock(t *testing.T) {
	c := mustLoad(t, setup{need: NeedStorage | NeedLock, environ: minimal(t)})
	if c.Lock != LockStorage || c.Database.Name != "" {
		t.Errorf("%q, %+v", c.Lock, c.Database)
	}
	environ := with(minimal(t), varLock, "database", varOrphanAge, "2d")
	c = mustLoad(t, setup{need: NeedStorage | NeedLock, environ: environ})
	if c.Lock != LockDatabase || c.Database.Name == "" || c.Storage.OrphanAge != 2*day {
		t.Errorf("%q, %+v", c.Lock, c.Database)
	}
	if c = mustLoad(t, setup{need: NeedStorage, environ: environ}); c.Database.Name != "" {
		t.Errorf("a list needs no database: %+v", c.Database)
	}
	wantOne(t, problems(t, setup{need: NeedStorage, environ: with(minimal(t), varLock, "nobody")}), varLock, "storage or database")
}
