package rclone

import (
	"regexp"
	"slices"
	"strings"
)

// general are the options of rclone that the environment may set (RCLONE_BWLIMIT),
// those of remotes (RCLONE_SFTP_…, RCLONE_CONFIG_…) apart. Any other could let it
// leave out files (RCLONE_MAX_SIZE, RCLONE_EXCLUDE), give back a part of one
// (RCLONE_COUNT), answer in other words or print headers with passwords
// (RCLONE_DUMP).
var general = []string{
	"BIND", "BUFFER_SIZE", "BWLIMIT", "BWLIMIT_FILE", "CACHE_DIR", "CA_CERT", "CHECKERS", "CLIENT_CERT", "CLIENT_KEY", "CLIENT_PASS",
	"CONFIG", "CONTIMEOUT", "DISABLE", "DISABLE_HTTP2", "DISABLE_HTTP_KEEP_ALIVES", "DSCP", "EXPECT_CONTINUE_TIMEOUT", "HEADER",
	"HEADER_DOWNLOAD", "HEADER_UPLOAD", "HTTP_PROXY", "LOW_LEVEL_RETRIES", "MAX_CONNECTIONS", "NO_CHECK_CERTIFICATE", "NO_GZIP_ENCODING",
	"PASSWORD_COMMAND", "TEMP_DIR", "TIMEOUT", "TPSLIMIT", "TPSLIMIT_BURST", "TRANSFERS", "USER_AGENT", "USE_COOKIES", "USE_MMAP",
}

// kinds are those of remotes, as their options begin.
var kinds = []string{
	"ACD", "ALIAS", "ARCHIVE", "AZUREBLOB", "AZUREFILES", "B2", "BOX", "CACHE", "CHUNKER", "CLOUDINARY", "COMBINE", "COMPRESS", "CONFIG",
	"CRYPT", "DOI", "DRIVE", "DROPBOX", "FICHIER", "FILEFABRIC", "FILELU", "FILESCOM", "FTP", "GCS", "GOFILE", "GPHOTOS", "HASHER", "HDFS",
	"HIDRIVE", "HTTP", "ICLOUDDRIVE", "IMAGEKIT", "INTERNETARCHIVE", "JOTTACLOUD", "KOOFR", "LINKBOX", "LOCAL", "MAILRU", "MEGA", "MEMORY",
	"NETSTORAGE", "ONEDRIVE", "OOS", "OPENDRIVE", "PCLOUD", "PIKPAK", "PIXELDRAIN", "PREMIUMIZEME", "PROTONDRIVE", "PUTIO", "QINGSTOR",
	"QUATRIX", "S3", "SEAFILE", "SFTP", "SHADE", "SHAREFILE", "SIA", "SMB", "STORJ", "SUGARSYNC", "SWIFT", "TARDIGRADE", "ULOZTO", "UNION",
	"UPTOBOX", "WEBDAV", "YANDEX", "ZOHO",
}

// passed tells whether rclone gets a variable.
func passed(name string) bool {
	option, ok := strings.CutPrefix(name, "RCLONE_")
	if !ok || slices.Contains(general, option) {
		return true
	}
	kind, _, found := strings.Cut(option, "_")
	return found && slices.Contains(kinds, kind)
}

// connectLimit is how long a connection may take, where nobody says otherwise;
// rclone's own is a minute, and each call makes one.
const connectLimit = "20s"

// secretName tells the variables whose values are not to be printed.
var secretName = regexp.MustCompile(`(?i)pass|secret|token|key|auth|credential`)

// shortestSecret is what is looked for in rclone's words: less would strike out
// too much.
const shortestSecret = 4

// environment is what rclone gets, what in it is secret, and the names that it does
// not get.
func environment(o Options) (environ, secrets, refused []string) {
	for _, assignment := range o.Environ {
		name, value, _ := strings.Cut(assignment, "=")
		if !passed(name) {
			refused = append(refused, name)
			continue
		}
		if name == "RCLONE_CONFIG" && o.Config != "" {
			continue
		}
		environ = append(environ, assignment)
		if secretName.MatchString(name) && len(value) >= shortestSecret {
			secrets = append(secrets, value)
		}
	}
	if o.Config != "" {
		environ = append(environ, "RCLONE_CONFIG="+o.Config)
	}
	if !slices.ContainsFunc(environ, func(a string) bool { return strings.HasPrefix(a, "RCLONE_CONTIMEOUT=") }) {
		environ = append(environ, "RCLONE_CONTIMEOUT="+connectLimit)
	}
	// The longer ones first: one may hold another.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return append(environ, "RCLONE_ASK_PASSWORD=false"), secrets, refused
}

var (
	query    = regexp.MustCompile(`\?[^\s"']+`)
	userinfo = regexp.MustCompile(`://[^\s/"'@]+@`)
	stamp    = regexp.MustCompile(`(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d `)
	badLine  = regexp.MustCompile(`(could not parse line:)[^\n]*`)
	level    = regexp.MustCompile(`(?m)^(ERROR|NOTICE|CRITICAL|Fatal error)\s*:\s*(:\s*)?`)
)

// clean makes one line of what rclone printed, without secrets.
func (s *Store) clean(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "…")
	}
	text = query.ReplaceAllString(userinfo.ReplaceAllString(text, "://…@"), "?…")
	text = badLine.ReplaceAllString(text, "$1 …") // one of the configuration
	text = level.ReplaceAllString(stamp.ReplaceAllString(text, ""), "")
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.ToValidUTF8(strings.TrimSpace(line), "?")
		if line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if len(lines) > 3 { // the last say why
		lines = lines[len(lines)-3:]
	}
	return strings.Join(lines, "; ")
}
