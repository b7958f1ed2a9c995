package dumper

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// certificate writes a certificate for 127.0.0.1 that signs itself, and its key,
// for a server that runs as the user postgres.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "dbt") // not t.TempDir, which others may not enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() == 0 {
		giveToPostgres(t, dir, cert, key)
	}
	return cert, key
}

func giveToPostgres(t *testing.T, paths ...string) {
	t.Helper()
	u, err := user.Lookup("postgres")
	dbtest.Need(t, "the user postgres", err)
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if err := os.Chown(path, uid, -1); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPostgresTLS: this process and the tools mean the same by each mode.
func TestPostgresTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	other, _ := certificate(t)
	secure := dbtest.Postgres(t, "ssl=on", "ssl_cert_file="+cert, "ssl_key_file="+key)
	plain := dbtest.Postgres(t)
	for _, test := range []struct {
		server    *dbtest.Server
		host      string
		tls       TLS
		encrypted string // "t", "f", or "" for an error
	}{
		{secure, "127.0.0.1", TLS{}, "t"},
		{secure, "127.0.0.1", TLS{Mode: "disable"}, "f"},
		{secure, "127.0.0.1", TLS{Mode: "require"}, "t"},
		{secure, "127.0.0.1", TLS{Mode: "verify-full", CA: cert}, "t"},
		{secure, "127.0.0.1", TLS{Mode: "verify-ca", CA: cert}, "t"},
		{secure, "127.0.0.1", TLS{Mode: "verify-ca", CA: other}, ""},
		{secure, "localhost", TLS{Mode: "verify-full", CA: cert}, ""},
		{secure, "localhost", TLS{Mode: "verify-ca", CA: cert}, "t"},
		{plain, "127.0.0.1", TLS{Mode: "prefer"}, "f"},
		{plain, "127.0.0.1", TLS{Mode: "require"}, ""},
	} {
		p := pgFor(t, test.server, "postgres", func(p *Postgres) { p.conn.Host, p.conn.TLS = test.host, test.tls })
		var encrypted string
		db, err := p.connect(context.Background(), "postgres")
		if err == nil {
			err = db.QueryRow(context.Background(), "SELECT left(ssl::text, 1) FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted)
			db.close()
		}
		if encrypted != test.encrypted || (err != nil) != (test.encrypted == "") {
			t.Errorf("%s %+v: %q, %v", test.host, test.tls, encrypted, err)
		}
		tl, terr := p.tool("/usr/lib/postgresql/15/bin/pg_dump", "--dbname="+p.toolConninfo("postgres", "dbacked").String())
		if terr != nil {
			t.Fatal(terr)
		}
		if err := tl.output(deadline(t), io.Discard); (err != nil) != (test.encrypted == "") {
			t.Errorf("pg_dump, %s %+v: %v", test.host, test.tls, err)
		}
	}
}
