//go:build bench

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// Uploaders that are built from the Go module proxy.
const (
	minioClient = "github.com/minio/mc"
	minioAt     = "v0.0.0-20250313080218-cf909e1063a9"
	s5cmd       = "github.com/peak/s5cmd/v2"
	s5cmdAt     = "v2.3.0"
)

// TestCompareS3 backs up into a service on loopback, against a dump that is piped
// into the uploaders that there are: first all of them, then the best one.
func TestCompareS3(t *testing.T) {
	pg := dbtest.Postgres(t, "shared_buffers=512MB", "max_wal_size=8GB", "autovacuum=off")
	b := newBench(t, pg, gigabytes())
	t.Setenv("TMPDIR", b.dir) // so that the service keeps what it is given in memory
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	key, secret, region := "AWS_ACCESS_KEY_ID="+s.AccessKey, "AWS_SECRET_ACCESS_KEY="+s.SecretKey, "AWS_REGION=us-east-1"
	for _, env := range [][2]string{
		{"AWS_ACCESS_KEY_ID", s.AccessKey},
		{"AWS_SECRET_ACCESS_KEY", s.SecretKey},
		{"AWS_DEFAULT_REGION", "us-east-1"},
		{"MC_HOST_bench", "http://" + s.AccessKey + ":" + s.SecretKey + "@" + s.Host},
		{"RCLONE_CONFIG_BENCH_TYPE", "s3"}, {"RCLONE_CONFIG_BENCH_PROVIDER", "Other"}, {"RCLONE_CONFIG_BENCH_ENDPOINT", s.Endpoint},
		{"RCLONE_CONFIG_BENCH_ACCESS_KEY_ID", s.AccessKey}, {"RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY", s.SecretKey},
	} {
		t.Setenv(env[0], env[1])
	}
	b.env = append(b.env, key, secret, region, "DBACKED_STORAGE=s3://backups/own", "DBACKED_S3_ENDPOINT="+s.Endpoint)
	client := s.Client(t).Client
	clean := func() {
		for o := range client.ListObjects(context.Background(), "backups", minio.ListObjectsOptions{Recursive: true}) {
			if err := client.RemoveObject(context.Background(), "backups", o.Key, minio.RemoveObjectOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	dump := fmt.Sprintf("%s/pg_dump -h %s -p %d -U postgres --format=custom --compress=0 bulk | zstd -q -1 | ", pg.Bin, pg.Socket, pg.Port)
	add := func(c *contest, name, uploader string) {
		c.add(name, func() time.Duration {
			clean()
			return shell(t, dump+uploader+" > /dev/null")
		})
	}
	uploaders := uploaders(t, b.dir, s.Endpoint)
	c := newContest(t, min(rounds(), 3))
	for _, name := range slices.Sorted(maps.Keys(uploaders)) {
		add(c, name, uploaders[name])
	}
	m := c.run("pg_dump --compress=0 | zstd -1 | uploader")
	best := c.names[0]
	for name, took := range m {
		if took < m[best] {
			best = name
		}
	}

	c = newContest(t, rounds())
	add(c, best, uploaders[best])
	c.add("dbacked backup", func() time.Duration { clean(); return b.dbacked("backup", "bulk") })
	m = c.run("PostgreSQL, backup to S3 on loopback, against the best of them")
	limit(t, "throughput of dbacked ÷ that of "+best, ratio(m[best], m["dbacked backup"]), 0.9, false)
	limit(t, "peak RSS, MiB", float64(b.peak)/(1<<20), 160, true)
}

// uploaders are commands that store their input, by their names: as they come,
// and with as many parts in flight, as large, as dbacked has.
func uploaders(t *testing.T, dir, endpoint string) map[string]string {
	t.Helper()
	mc := goProgram(t, dir, "mc", minioClient, minioAt)
	s5 := goProgram(t, dir, "s5cmd", s5cmd, s5cmdAt)
	all := map[string]string{
		"mc pipe":                         mc + " -q pipe bench/backups/o",
		"mc pipe --concurrent 4":          mc + " -q pipe --concurrent 4 --part-size 10MiB bench/backups/o",
		"s5cmd pipe":                      s5 + " --endpoint-url " + endpoint + " pipe s3://backups/o",
		"s5cmd pipe --part-size 10":       s5 + " --endpoint-url " + endpoint + " pipe --concurrency 4 --part-size 10 s3://backups/o",
		"aws s3 cp -":                     "/usr/bin/aws --endpoint-url " + endpoint + " s3 cp - s3://backups/o",
		"rclone rcat":                     "env -u AWS_CA_BUNDLE rclone -q rcat bench:backups/o",
		"rclone rcat --s3-chunk-size 10M": "env -u AWS_CA_BUNDLE rclone -q rcat --s3-upload-concurrency 4 --s3-chunk-size 10M bench:backups/o",
	}
	for _, name := range []string{"/usr/bin/aws", "rclone", "zstd"} {
		_, err := exec.LookPath(name)
		dbtest.Need(t, name, err)
	}
	return all
}

// goProgram builds a program from the Go module proxy. A module of its own asks
// for it: go install looks for a newer version, which there need not be.
func goProgram(t *testing.T, dir, name, module, version string) (path string) {
	t.Helper()
	from := filepath.Join(dir, "build-"+name)
	if err := os.Mkdir(from, 0o755); err != nil {
		t.Fatal(err)
	}
	mod := fmt.Sprintf("module build\n\ngo 1.25\n\nrequire %s %s\n", module, version)
	if err := os.WriteFile(filepath.Join(from, "go.mod"), []byte(mod), 0o600); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-mod=mod", "-o", path, module)
	cmd.Dir, cmd.Env = from, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		dbtest.Need(t, module+" from the Go module proxy", fmt.Errorf("%w: %s", err, out))
	}
	return path
}
