package config

import (
	"strings"
	"time"
)

// Need is what a command needs; Load checks and reads that, and leaves the rest of Config at zero. So "dbacked
// list" works on a machine that holds neither the password nor the keys.
type Need uint

// What can be needed. Time-outs, compression, format, trust and folders are always there.
const (
	// NeedInstance asks for a NAME.
	NeedInstance Need = 1 << iota
	// NeedDatabase asks for engine, user and database, and reads the password and checks the TLS files if given.
	NeedDatabase
	// NeedPublicKey asks for at least one public key.
	NeedPublicKey
	// NeedPrivateKey asks for the private key, and reads the passphrase if given.
	NeedPrivateKey
	// WantPrivateKey reads private key and passphrase if they are given.
	WantPrivateKey
	// NeedSchedule checks what only the agent needs: schedule, listener, ping.
	NeedSchedule
	// NeedRetention asks for at least one rule that says which backups to keep.
	NeedRetention
	// WantRetention reads those rules if they are given.
	WantRetention
	// NeedLock asks for the database too where that is what holds the lock.
	NeedLock
	needStorage
	// NeedStorage asks for the storage, and for a NAME since backups lie below it.
	NeedStorage = needStorage | NeedInstance
)

// Engines, formats and modes, as Config holds them.
const (
	Postgres = "pg"
	MySQL    = "mysql" // MariaDB too

	FormatV1     = "1"
	FormatLegacy = "legacy"
)

// What keeps two runs of an instance apart.
const (
	LockStorage  = "storage"
	LockDatabase = "database"
	LockService  = "service" // with a service, always
)

// Config is what a command runs with, checked. It prints without secrets.
type Config struct {
	Instance        string // NAME; "" when there is none and none is needed
	AgentID         string // from the former agent's config.json, "" without one
	ConfigDirectory string // absolute
	StateDirectory  string // absolute; "" when Instance is
	Database        Database
	Keys            Keys
	Storage         Storage // the first of Places, in which the lease is, or the one that At chose
	Places          Places  // all that backups go to, at least Storage
	Lock            string  // LockStorage, LockDatabase or LockService
	Compression     string  // zstd, zstd:1 to zstd:19, gzip or none
	Format          string  // FormatV1 or FormatLegacy
	Timeouts        Timeouts
	Parallel        Parallel
	Trust           []string // verifier keys, "NAME+HASH+KEY"
	Agent           Agent    // only with NeedSchedule
	Retention       Retention
	// Environ is the environment for child processes: this process's, then what else NAME.env sets, without
	// anything of dbacked's own.
	Environ Environ
	// Warnings are for people, a line each: what works, but is likely not meant or not safe.
	Warnings []string

	sources map[string]string // by variable
}

// Database is the database to back up, or to restore into.
type Database struct {
	Type          string // Postgres or MySQL
	Host          string // name, IP address (IPv6 without brackets), or the absolute path of a unix socket
	Port          int    // 1 to 65535
	Username      string
	Password      Secret // not set when the user needs none, or the tools find it by themselves (PGPASSFILE)
	Name          string
	TLS           TLS
	DumperOptions []string // words of a command line
	ToolsPath     []string // absolute folders
}

// Socket returns the unix socket that Host is (PostgreSQL: its folder), "" when the connection is by TCP.
func (d Database) Socket() string {
	if strings.HasPrefix(d.Host, "/") {
		return d.Host
	}
	return ""
}

// TLS is how the connection to the database is encrypted. Files are "" when not given.
type TLS struct {
	Mode          string // disable, prefer, require, verify-ca or verify-full
	CA, Cert, Key string // paths
}

// Keys seal and open backups. PEM is as given but for repaired line ends, and not parsed.
type Keys struct {
	PublicKeys string // PEM blocks, one or more
	PrivateKey Secret // PEM
	Passphrase Secret // not set when it was not given: ask for it
}

// Storage is where backups lie.
type Storage struct {
	Scheme string // SchemeFile, SchemeS3, SchemeRclone or SchemeService
	Path   string // of a folder: absolute
	Remote string // of rclone: "NAME:PATH"

	RcloneConfig string        // path, "" when it was not given
	OrphanAge    time.Duration // of what another machine left unfinished; 0 when it was not given, or there can be none

	Bucket, Prefix string // of a bucket; the prefix has no slashes at its ends
	S3             S3
	Service        Service
	Upload         Upload
}

// Schemes of storage.
const (
	SchemeFile   = "file"
	SchemeS3     = "s3"
	SchemeRclone = "rclone"
)

// S3 is how a bucket is reached and used. What is "" or 0 was not given.
type S3 struct {
	Endpoint, Region                   string
	AccessKey, SecretKey, SessionToken Secret
	PathStyle                          string // auto, always or never
	CA                                 string // path
	SSE, StorageClass                  string
	Checksum                           string // sha256 or md5
	MaxParts                           int
	LockMode                           string // compliance or governance
	LockFor                            time.Duration
}

// Upload bounds what is sent. What is 0 was not given.
type Upload struct {
	Rate   int64 // bytes a second
	Memory int64 // bytes
}

// IsService says whether a service keeps the backups.
func (s Storage) IsService() bool { return s.Scheme == SchemeService }

// String returns the storage as a URL, without secrets; of a service, its address.
func (s Storage) String() string {
	if s.IsService() {
		return s.Service.URL
	}
	url := s.Scheme + "://" + s.Path + s.Remote
	if s.Scheme == SchemeS3 {
		url = strings.TrimSuffix("s3://"+s.Bucket+"/"+s.Prefix, "/")
	}
	return strings.ReplaceAll(url, ",", "%2C")
}

// Timeouts give every wait an end; all are above zero.
type Timeouts struct {
	Connect, Lock, Stall, Stop time.Duration
}

// Parallel is how much goes on at once.
type Parallel struct {
	Jobs       int           // at least 1
	BlockLimit time.Duration // for others to wait behind a dump's locks; 0: for ever
	LargeTable int64         // bytes from which a table is dumped by itself; 0 when it was not given
	CountRows  bool          // of each table, besides those that are dumped
}

// Agent is when backups are made, and how that is watched.
type Agent struct {
	Schedule    string         // a cron expression, or @daily and friends; not parsed
	Zone        *time.Location // of the schedule
	RandomDelay time.Duration  // 0 for none
	Listen      string         // host:port, an absolute path, or "" for none
	PingURL     Secret         // not set for none; an absolute http or https URL
}

// Retention is which backups are kept when the others are removed: each that a rule keeps.
type Retention struct {
	Last, Daily, Weekly, Monthly, Yearly int           // 0: no such rule
	For                                  time.Duration // 0: no such rule
	Minimum                              time.Duration // nothing younger is removed
	Zone                                 *time.Location
}

// HasRule tells whether a rule keeps anything. Without one nothing is to be removed: Minimum alone is none.
func (r Retention) HasRule() bool {
	return r.Last > 0 || r.Daily > 0 || r.Weekly > 0 || r.Monthly > 0 || r.Yearly > 0 || r.For > 0
}

// Source says where the value of a setting came from: its flag ("--db-host"), "environment", a line of the env
// file ("/etc/dbacked/shop.env:3"), a config.json by its path, or "default". It takes the setting's flag, with or
// without dashes, or its variable. A secret that came from a file is said to come from where the file's path did.
func (c *Config) Source(name string) string {
	for _, s := range Settings() {
		if name != s.Variable && name != s.Flag && "--"+name != s.Flag {
			continue
		}
		if source := c.sources[s.Variable]; source != "" {
			return source
		}
	}
	return "default"
}
