package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const three = "file:///var/lib/dbacked, s3://bucket/prefix,file:///mnt/a%2Cb"

// TestPlaces reads several places, with the settings that are all of theirs.
func TestPlaces(t *testing.T) {
	c := mustLoad(t, setup{need: all, environ: with(minimal(t), varStorage, three, varS3Endpoint, "https://s3.example.org",
		varS3AccessKey, "key", varS3SecretKey, "hunter2", varUploadRate, "1MB")})
	if got, want := c.Places.String(), "file:///var/lib/dbacked,s3://bucket/prefix,file:///mnt/a%2Cb"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if len(c.Places) != 3 || c.Places[2].Path != "/mnt/a,b" || c.Storage != c.Places[0] {
		t.Errorf("%+v", c.Places)
	}
	for _, s := range c.Places {
		if s.Upload.Rate != 1_000_000 || s.Scheme == SchemeS3 && (s.S3.Endpoint != "https://s3.example.org" || s.S3.SecretKey.Reveal() != "hunter2") {
			t.Errorf("%+v", s)
		}
	}
	one := mustLoad(t, setup{need: all, environ: minimal(t)})
	if len(one.Places) != 1 || one.Storage != one.Places[0] {
		t.Errorf("%+v", one.Places)
	}
}

// TestPlacesApart refuses places that would touch each other.
func TestPlacesApart(t *testing.T) {
	for text, want := range map[string]string{
		"file:///a,file:///a/":                    "file:///a is there twice",
		"file:///a,file:///b/../a":                "file:///a is there twice",
		"file:///a,file:///a/b":                   "file:///a/b lies in file:///a",
		"s3://bucket/p/q,file:///a,s3://bucket/p": "s3://bucket/p/q lies in s3://bucket/p",
		"file:///,file:///a":                      "file:///a lies in file:///",
		"s3://bucket,s3://bucket/p":               "s3://bucket/p lies in s3://bucket",
		"file:///a,b":                             "a comma in a name is written %2C",
		"file:///a,":                              "no scheme",
		"file:///a,s3://key:hunter2@bucket":       "it holds credentials",
	} {
		got := problems(t, setup{need: all, environ: with(minimal(t), varStorage, text)})
		if wantOne(t, got, want); strings.Contains(strings.Join(got, ""), "hunter2") || len(got) != 1 {
			t.Errorf("%s: %q", text, got)
		}
	}
	for _, text := range []string{"file:///a,file:///ab", "s3://bucket/p,s3://bucket/pq", "s3://a,s3://ab", "file:///a,s3://a"} {
		mustLoad(t, setup{need: all, environ: with(minimal(t), varStorage, text)})
	}
	// What is wrong with the settings of buckets is said once.
	got := problems(t, setup{need: all, environ: with(minimal(t), varStorage, "s3://a,s3://b", varS3AccessKey, "key")})
	if wantOne(t, got, "go together"); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// TestFrom finds a place by its URL, how that begins, or its number.
func TestFrom(t *testing.T) {
	c := mustLoad(t, setup{need: all, environ: with(minimal(t), varStorage, three)})
	for text, want := range map[string]string{
		"1": "file:///var/lib/dbacked", "2": "s3://bucket/prefix", "s3": "s3://bucket/prefix", "file:///m": "file:///mnt/a%2Cb",
		"file:///var/lib/dbacked": "file:///var/lib/dbacked",
	} {
		one, err := c.From(text)
		if err != nil || one.Storage.String() != want || len(one.Places) != 1 || len(c.Places) != 3 {
			t.Errorf("%s: %v, %v", text, one, err)
		}
	}
	if same, err := c.From(""); same != c || err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{"file": "more than one", "4": "none of its places", "gs": "none of its places"} {
		_, err := c.From(text)
		if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestRemote reads what rclone reaches.
func TestRemote(t *testing.T) {
	conf := write(t, "[nas]\n", 0o600)
	environ := with(minimal(t), varStorage, "file:///a,rclone://nas:/back%20ups/x%2Cy%25", varRcloneConfig, conf, varOrphanAge, "2d", "RCLONE_BWLIMIT", "1M")
	c := mustLoad(t, setup{need: all, environ: environ})
	s := c.Places[1]
	if s.Remote != "nas:/back ups/x,y%" || s.RcloneConfig != conf || s.OrphanAge != 2*day || c.Places[0].OrphanAge != 0 {
		t.Errorf("%+v", s)
	}
	if got, want := s.String(), "rclone://nas:/back ups/x%2Cy%"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if !slices.Contains(c.Environ, "RCLONE_BWLIMIT=1M") {
		t.Errorf("rclone would not see its own variable: %q", c.Environ)
	}
	wantOne(t, problems(t, setup{need: all, environ: with(environ, varStorage, "rclone://nas:100%")}), "is written %25")
	wantOne(t, problems(t, setup{need: all, environ: with(environ, varStorage, "rclone://nas:x,rclone://nas:x/y")}), "rclone://nas:x/y lies in rclone://nas:x")
	wantOne(t, problems(t, setup{need: all, environ: with(environ, varRcloneConfig, "/nonexistent")}), varRcloneConfig, "no such file")
	open := mustLoad(t, setup{need: all, environ: with(environ, varRcloneConfig, write(t, "[nas]\n", 0o644))})
	wantOne(t, open.Warnings, varRcloneConfig)
}
