package config

import (
	"math"
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func (l *loader) resolveStorage() {
	text, g := l.textOr(varStorage, defaultStorage)
	for one := range strings.SplitSeq(text, ",") {
		l.config.Storage = Storage{}
		l.place(g, strings.Trim(one, blanks))
		l.config.Places = append(l.config.Places, l.config.Storage)
	}
	l.apart(g)
	l.resolveUpload()
	l.resolveLock()
	l.config.Storage = l.config.Places[0]
}

func (l *loader) resolveLock() {
	where, g := l.textOr(varLock, LockStorage)
	if where != LockStorage && where != LockDatabase {
		l.wrong(varLock, g, "%q keeps no lock: use storage or database", where)
	}
	l.config.Lock = where
	age := l.long(varOrphanAge)
	for i := range l.config.Places {
		if p := &l.config.Places[i]; where == LockDatabase || p.Scheme != SchemeFile {
			p.OrphanAge = age // other machines may write there
		}
	}
}

// place reads one place.
func (l *loader) place(g given, text string) {
	if filepath.IsAbs(text) {
		l.wrong(varStorage, g, "write a folder as a URL: file://%s", oneLine(text))
		return
	}
	if remote, ok := strings.CutPrefix(text, SchemeRclone+"://"); ok {
		l.remote(g, remote)
		return
	}
	const exists = "what exists is a local folder, file:///absolute/path, a bucket, s3://bucket/prefix, and rclone://remote:path"
	// The URL is not printed: it may hold credentials.
	location, err := url.Parse(text)
	switch {
	case err != nil:
		l.wrong(varStorage, g, "it is not a URL: %s", exists)
	case location.Scheme == "":
		l.wrong(varStorage, g, "it has no scheme: %s; several are separated by commas, and a comma in a name is written %%2C", exists)
	case location.Scheme == SchemeS3:
		l.bucket(g, location)
	case location.Scheme != SchemeFile:
		l.wrong(varStorage, g, "storage of the kind %q does not exist in this version: %s", location.Scheme, exists)
	case location.Host != "" && location.Host != localhost || location.User != nil:
		l.wrong(varStorage, g, "a folder has no host, so there are three slashes: %s", exists)
	case location.RawQuery != "" || location.ForceQuery || location.Fragment != "":
		l.wrong(varStorage, g, "it has no parameters: write %%3F for ? and %%23 for # in the folder's name")
	case !filepath.IsAbs(location.Path) || strings.ContainsRune(location.Path, 0):
		l.wrong(varStorage, g, "the path is not absolute: %s", exists)
	default:
		l.config.Storage = Storage{Scheme: SchemeFile, Path: filepath.Clean(location.Path)}
	}
}

// resolveUpload reads what is the same in all places.
func (l *loader) resolveUpload() {
	var u Upload
	u.Rate = l.bytes(varUploadRate, 16<<10)
	u.Memory = l.bytes(varUploadMemory, 8<<20)
	for i := range l.config.Places {
		l.config.Places[i].Upload = u
	}
}

// remote takes NAME:PATH, of rclone, which itself is checked where it is opened.
func (l *loader) remote(g given, text string) {
	remote, err := url.PathUnescape(text)
	if err != nil {
		l.wrong(varStorage, g, "a %% in it is written %%25")
	}
	l.config.Storage = Storage{Scheme: SchemeRclone, Remote: remote, RcloneConfig: l.rcloneConfig()}
}

// rcloneConfig is that of all remotes: read once.
func (l *loader) rcloneConfig() string {
	if l.remotes == nil {
		l.remotes = new(l.readableFile(varRcloneConfig))
	}
	return *l.remotes
}

// bucket takes s3://BUCKET/PREFIX apart, and reads what belongs to it.
func (l *loader) bucket(g given, location *url.URL) {
	prefix := strings.Trim(location.Path, "/")
	switch {
	case location.User != nil:
		l.wrong(varStorage, g, "it holds credentials: give them as DBACKED_S3_ACCESS_KEY_ID and DBACKED_S3_SECRET_ACCESS_KEY")
	case location.RawQuery != "" || location.ForceQuery || location.Fragment != "":
		l.wrong(varStorage, g, "it has no parameters: the endpoint, the region and the rest are settings of their own, such as DBACKED_S3_ENDPOINT")
	case location.Host == "" || location.Port() != "":
		l.wrong(varStorage, g, "write s3://BUCKET/PREFIX; where the service is says DBACKED_S3_ENDPOINT")
	case prefix != "" && path.Clean(prefix) != prefix || strings.HasPrefix(prefix, ".."):
		l.wrong(varStorage, g, "the prefix holds an empty part, . or ..: write s3://BUCKET/PREFIX")
	}
	l.config.Storage = Storage{Scheme: SchemeS3, Bucket: location.Host, Prefix: prefix, S3: l.s3()}
}

// s3 reads the settings of buckets, which are those of all of them: once.
func (l *loader) s3() S3 {
	if l.buckets == nil {
		l.buckets = new(l.readS3())
	}
	return *l.buckets
}

func (l *loader) readS3() S3 {
	var s S3
	s.Endpoint, _ = l.textOr(varS3Endpoint, "")
	s.Region, _ = l.textOr(varS3Region, "")
	s.AccessKey, _ = l.secret(varS3AccessKey)
	s.SecretKey, _ = l.secret(varS3SecretKey)
	s.SessionToken, _ = l.secret(varS3Session)
	if s.AccessKey.IsSet() != s.SecretKey.IsSet() {
		l.problem("%s and %s go together: give both or none", l.setting(varS3AccessKey), l.setting(varS3SecretKey))
	}
	s.PathStyle, _ = l.textOr(varS3PathStyle, "")
	s.CA = l.readableFile(varS3CA)
	s.SSE, _ = l.textOr(varS3SSE, "")
	s.StorageClass, _ = l.textOr(varS3StorageClass, "")
	s.Checksum, _ = l.textOr(varS3Checksum, "")
	if g, ok := l.get(varS3MaxParts); ok {
		n, err := strconv.Atoi(g.text())
		if err != nil || n < 1 {
			l.wrong(varS3MaxParts, g, "%q is not a number of parts: use 1 to 10000", g.text())
		}
		s.MaxParts = n
	}
	s.LockMode, s.LockFor = l.objectLock()
	return s
}

// objectLock reads MODE:DURATION.
func (l *loader) objectLock() (mode string, d time.Duration) {
	g, ok := l.get(varS3ObjectLock)
	if !ok {
		return "", 0
	}
	mode, text, _ := strings.Cut(g.text(), ":")
	d, err := ParseDuration(text)
	if mode != "compliance" && mode != "governance" || err != nil || d <= 0 {
		l.wrong(varS3ObjectLock, g, "%q is no protection: write compliance:30d or governance:30d", g.text())
	}
	return mode, d
}

// long reads a duration that may be given in days.
func (l *loader) long(variable string) time.Duration {
	g, ok := l.get(variable)
	if !ok {
		return 0
	}
	d, err := ParseDuration(g.text())
	if err != nil || d <= 0 {
		l.wrong(variable, g, "%q is not a duration: write 12h or 7d", g.text())
	}
	return d
}

// bytes reads an amount such as 20MB or 64MiB, of at least least; 0 when it was
// not given.
func (l *loader) bytes(variable string, least int64) int64 {
	g, ok := l.get(variable)
	if !ok {
		return 0
	}
	n, ok := parseBytes(g.text())
	if !ok || n < least {
		l.wrong(variable, g, "%q is not an amount of at least %d bytes: write 20MB or 64MiB", g.text(), least)
	}
	return n
}

func parseBytes(text string) (int64, bool) {
	text = strings.TrimSpace(strings.TrimSuffix(text, "/s"))
	digits := strings.TrimRight(text, "BKMGTikmgtb ")
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || n < 0 || math.IsNaN(n) {
		return 0, false
	}
	units := map[string]float64{
		"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
		"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
	}
	factor, ok := units[strings.ToUpper(strings.TrimSpace(text[len(digits):]))]
	if !ok || n*factor > math.MaxInt64/2 {
		return 0, false
	}
	return int64(n * factor), true
}
