package config

// The structs below are kong flags. A command embeds those it needs and hands them to Load inside of Flags.
// Every field is text and checked by Load, so that a value means the same in a flag, in the environment and in
// a file. Of the tags, kong reads name, help, placeholder, sep, group and hidden; Settings also reads variable (the
// environment variable, when it is not DBACKED_ and the flag's name) and builtin (the default, which kong must
// not know: a default would look like a flag that was given).

// CommonFlags say where dbacked keeps its own files.
type CommonFlags struct {
	ConfigDirectory string `name:"config-directory" placeholder:"DIR" builtin:"/etc/dbacked" help:"Folder of NAME.env and config.json."`
	StateDirectory  string `name:"state-directory" placeholder:"DIR" builtin:"$STATE_DIRECTORY/.state, or /var/lib/dbacked/NAME/.state" help:"Folder of what dbacked remembers: its signing key, the last backup it saw."`
}

// DatabaseFlags say which database is meant and how to reach it.
type DatabaseFlags struct {
	DBType         string   `name:"db-type" group:"Database" placeholder:"ENGINE" help:"Engine of the database: pg or mysql (postgres, postgresql and mariadb are understood)."`
	DBHost         string   `name:"db-host" group:"Database" placeholder:"HOST" builtin:"/var/run/postgresql when it exists (pg), else localhost" help:"Host name, IP address, or the absolute path of a unix socket (pg: its folder, mysql: the socket itself)."`
	DBPort         string   `name:"db-port" group:"Database" placeholder:"PORT" builtin:"5432 (pg), 3306 (mysql)" help:"Port of the database server."`
	DBUsername     string   `name:"db-username" group:"Database" placeholder:"USER" help:"User to connect as, for example dbacked."`
	DBPassword     Secret   `name:"db-password" group:"Database" placeholder:"PASSWORD" help:"Password of the user. As a flag it is visible to every user of the machine: better use --db-password-file or the env file."`
	DBPasswordFile string   `name:"db-password-file" group:"Database" placeholder:"FILE" help:"File that holds the password, for example /etc/dbacked/shop.password (mode 0600)."`
	DBName         string   `name:"db-name" group:"Database" placeholder:"DATABASE" help:"Name of the database, for example shop."`
	DumperOptions  []string `name:"dumper-options" group:"Database" sep:"none" placeholder:"OPTIONS" help:"More options for the dump tool, quoted as in a shell, for example \"--exclude-table=log --exclude-table='my table'\"."`
	ToolsPath      string   `name:"tools-path" group:"Database" placeholder:"DIR:DIR" help:"Folders to search first for the database's tools, for example /usr/lib/postgresql/17/bin."`
	DBTLSMode      string   `name:"db-tls-mode" group:"Database" placeholder:"MODE" builtin:"prefer" help:"TLS to the server: disable, prefer, require, verify-ca or verify-full."`
	DBTLSCA        string   `name:"db-tls-ca" group:"Database" placeholder:"FILE" help:"Certificates (PEM) that the server's is checked against in the verify modes."`
	DBTLSCert      string   `name:"db-tls-cert" group:"Database" placeholder:"FILE" help:"Certificate (PEM) to show to the server; needs --db-tls-key."`
	DBTLSKey       string   `name:"db-tls-key" group:"Database" placeholder:"FILE" help:"Private key (PEM) of --db-tls-cert, mode 0600."`
}

// StorageFlags say where backups lie.
type StorageFlags struct {
	S3Flags
	UploadFlags
	ServiceFlags

	Storage      string `name:"storage" group:"Storage" placeholder:"URL" builtin:"file:///var/lib/dbacked" help:"Where backups lie, below a folder NAME: file:///absolute/path, s3://bucket/prefix, or rclone://remote:path for what the program rclone reaches. Several, separated by commas: each backup goes to all of them; a comma in a name is written %2C."`
	Lock         string `name:"lock" group:"Storage" placeholder:"WHERE" builtin:"storage" help:"What keeps two runs of an instance apart: storage (a lease in a bucket, a file in a folder; with rclone, a file of this machine), or database, a lock of the database's server, for services without conditional writes."`
	RcloneConfig string `name:"rclone-config" group:"Storage" placeholder:"FILE" builtin:"where rclone looks" help:"Configuration file of rclone, in which the remote is described, for example /etc/dbacked/rclone.conf (mode 0600)."`
}

// ServiceFlags name the service that keeps backups, in place of a storage.
type ServiceFlags struct {
	APIKey     Secret `name:"apikey" group:"Service" placeholder:"KEY" help:"Key of a project of the DBacked service, which then says when a backup is due and keeps it, in place of --storage. As a flag it is visible to every user of the machine: better use --apikey-file or the env file."`
	APIKeyFile string `name:"apikey-file" group:"Service" placeholder:"FILE" help:"File that holds the key of the service, for example /etc/dbacked/shop.apikey (mode 0600)."`
	APIURL     string `name:"api-url" group:"Service" placeholder:"URL" builtin:"https://api.dbacked.com" help:"Address of the service, for example https://backups.example.org."`
}

// S3Flags say how a bucket is reached, and how what goes there is kept.
type S3Flags struct {
	S3Endpoint        string `name:"s3-endpoint" group:"S3" placeholder:"URL" builtin:"Amazon's of the region" help:"Address of the service, for example https://s3.example.org."`
	S3Region          string `name:"s3-region" group:"S3" placeholder:"REGION" builtin:"$AWS_REGION, else us-east-1" help:"Region of the bucket."`
	S3AccessKeyID     Secret `kong:"-" variable:"DBACKED_S3_ACCESS_KEY_ID" help:"Access key. Without one, credentials come from where Amazon's tools look: AWS_… variables, the shared file, a web identity, the machine's metadata."`
	S3AccessKeyIDFile string `name:"s3-access-key-id-file" group:"S3" placeholder:"FILE" help:"File that holds the access key."`
	S3SecretKey       Secret `kong:"-" variable:"DBACKED_S3_SECRET_ACCESS_KEY" help:"Secret key that belongs to the access key."`
	S3SecretKeyFile   string `name:"s3-secret-access-key-file" group:"S3" placeholder:"FILE" help:"File that holds the secret key."`
	S3Session         Secret `kong:"-" variable:"DBACKED_S3_SESSION_TOKEN" help:"Session token of temporary credentials."`
	S3SessionFile     string `name:"s3-session-token-file" group:"S3" placeholder:"FILE" help:"File that holds the session token."`
	S3PathStyle       string `name:"s3-path-style" group:"S3" placeholder:"WHEN" builtin:"auto" help:"Whether the bucket stands in the path and not in the host's name: auto, always or never."`
	S3CA              string `name:"s3-ca" group:"S3" placeholder:"FILE" help:"Certificates (PEM) that are trusted besides the system's."`
	S3SSE             string `name:"s3-sse" group:"S3" placeholder:"KIND" help:"Encryption by the service too: AES256, aws:kms or aws:kms:KEY."`
	S3StorageClass    string `name:"s3-storage-class" group:"S3" placeholder:"CLASS" builtin:"the bucket's" help:"Storage class, for example STANDARD_IA."`
	S3Checksum        string `name:"s3-checksum" group:"S3" placeholder:"KIND" builtin:"sha256" help:"Checksum that the service verifies each part by: sha256, or md5 for services that refuse it."`
	S3MaxParts        string `name:"s3-max-parts" group:"S3" placeholder:"N" builtin:"10000" help:"Parts that the service takes of one file; a longer stream goes on in the next file."`
	S3ObjectLock      string `name:"s3-object-lock" group:"S3" placeholder:"MODE:DURATION" help:"Protect every file and manifest for so long: compliance:30d or governance:30d. The bucket must have object lock."`
}

// UploadFlags say how fast, and with how much memory, backups are sent away.
type UploadFlags struct {
	OrphanAge    string `name:"orphan-age" group:"Storage" placeholder:"DURATION" builtin:"7d" help:"Age from which what another machine may have left unfinished is removed."`
	UploadRate   string `name:"upload-rate" group:"Storage" placeholder:"RATE" builtin:"no limit" help:"Most bytes a second to send, for example 20MB."`
	UploadMemory string `name:"upload-memory" group:"Storage" placeholder:"SIZE" builtin:"16MiB to a folder, else 64MiB" help:"Memory for parts on their way."`
}

// SealFlags say how a backup is written.
type SealFlags struct {
	PublicKey   []string `name:"public-key" group:"Encryption" sep:"none" placeholder:"PEM|FILE" help:"RSA public key that backups are encrypted for: PEM text or a file, for example /etc/dbacked/public.pem. Several keys (several PEM blocks, or the flag several times): each of them opens the backup."`
	Compression string   `name:"compression" group:"Encryption" placeholder:"HOW" builtin:"zstd" help:"Compression before encryption: zstd, zstd:1 to zstd:19, gzip or none."`
	Format      string   `name:"format" group:"Encryption" placeholder:"FORMAT" builtin:"1" help:"Format of the encrypted files: 1, or legacy for the former agent's."`
}

// OpenFlags say how a backup is opened. A private key and a passphrase are never flags themselves.
type OpenFlags struct {
	PrivateKey     Secret `kong:"-" variable:"DBACKED_PRIVATE_KEY" help:"RSA private key that opens backups: PEM text or a file's path."`
	PrivateKeyPath string `name:"private-key-path" group:"Encryption" variable:"DBACKED_PRIVATE_KEY_FILE" placeholder:"FILE" help:"File of the RSA private key (PEM) that opens backups, for example ./private.pem."`
	Passphrase     Secret `kong:"-" variable:"DBACKED_PRIVATE_KEY_PASSPHRASE" help:"Passphrase of the private key; asked for on a terminal when it is not set."`
	PassphraseFile string `name:"passphrase-file" group:"Encryption" variable:"DBACKED_PRIVATE_KEY_PASSPHRASE_FILE" placeholder:"FILE" help:"File that holds the passphrase of the private key."`
}

// TrustFlags say whose backups are believed.
type TrustFlags struct {
	Trust []string `name:"trust" group:"Encryption" sep:"none" placeholder:"KEY" help:"Verifier keys of the hosts whose backups are trusted, separated by commas or blanks; \"dbacked check\" prints a host's."`
}

// TimeoutFlags give every wait an end.
type TimeoutFlags struct {
	ConnectTimeout string `name:"connect-timeout" group:"Time-outs" placeholder:"DURATION" builtin:"30s" help:"Longest wait for a connection to the database."`
	LockTimeout    string `name:"lock-timeout" group:"Time-outs" placeholder:"DURATION" builtin:"5m" help:"Longest wait for locks on the database's tables."`
	StallTimeout   string `name:"stall-timeout" group:"Time-outs" placeholder:"DURATION" builtin:"10m" help:"Longest time without a byte from a tool or to the storage."`
	StopTimeout    string `name:"stop-timeout" group:"Time-outs" placeholder:"DURATION" builtin:"10s" help:"Longest wait for tools to end by themselves when a run is stopped."`
}

// JobsFlags say how much goes on at once.
type JobsFlags struct {
	Jobs string `name:"jobs" group:"Parallel" placeholder:"N" builtin:"half the cores, at least 2" help:"Dumps of a database that go on at once, from one snapshot; 1: one stream, as for a database without large tables."`
}

// SnapshotFlags say how a database is dumped in parts, and for how long that may stand in others' way.
type SnapshotFlags struct {
	BlockLimit string `name:"block-limit" group:"Parallel" placeholder:"DURATION" builtin:"60s" help:"Longest time that another session may wait behind the locks of a parallel dump before that gives way, to be tried later; 0: for ever."`
	LargeTable string `name:"large-table" group:"Parallel" placeholder:"SIZE" builtin:"64MiB" help:"Least size of a table that is dumped by itself; of MySQL, that has the database dumped in parts."`
	CountRows  string `name:"count-rows" group:"Parallel" placeholder:"true|false" builtin:"false" help:"Count the rows of each table in the snapshot too, and compare them with those that were dumped."`
}

// ScheduleFlags say when the agent makes backups, and how it is watched.
type ScheduleFlags struct {
	Schedule    string `name:"schedule" group:"Schedule" placeholder:"CRON" builtin:"@daily" help:"When backups are due: a cron expression of five fields, for example \"30 2 * * *\", or @hourly, @daily, @weekly, @monthly."`
	Timezone    string `name:"timezone" group:"Schedule" placeholder:"ZONE" builtin:"the system's" help:"Time zone of the schedule, for example Europe/Paris."`
	RandomDelay string `name:"random-delay" group:"Schedule" placeholder:"DURATION" builtin:"0s" help:"Longest random delay of each backup that is due, so that many hosts do not start at once."`
	Poll        string `name:"poll-interval" group:"Schedule" placeholder:"DURATION" builtin:"5m" help:"How often the agent asks the service whether a backup is due, give or take a tenth."`
	Listen      string `name:"listen" group:"Status" placeholder:"ADDRESS" builtin:"none; the socket of systemd is always served" help:"Where else the status page is served: host:port, or the absolute path of a unix socket."`
	PingURL     Secret `name:"ping-url" group:"Status" placeholder:"URL" help:"URL that is told of each run: URL/start, URL when it was proved, URL/fail when it failed. For a dead man's switch."`
	PingURLFile string `name:"ping-url-file" group:"Status" placeholder:"FILE" help:"File that holds the URL to tell of each run."`
}

// KeepFlags say which backups are kept when the others are removed.
type KeepFlags struct {
	KeepLast    string `name:"keep-last" group:"Retention" placeholder:"N" builtin:"none" help:"Keep the newest N backups."`
	KeepDaily   string `name:"keep-daily" group:"Retention" placeholder:"N" builtin:"none" help:"Keep the newest backup of each of the last N days that have one."`
	KeepWeekly  string `name:"keep-weekly" group:"Retention" placeholder:"N" builtin:"none" help:"Keep the newest backup of each of the last N weeks that have one; a week begins on Monday."`
	KeepMonthly string `name:"keep-monthly" group:"Retention" placeholder:"N" builtin:"none" help:"Keep the newest backup of each of the last N months that have one."`
	KeepYearly  string `name:"keep-yearly" group:"Retention" placeholder:"N" builtin:"none" help:"Keep the newest backup of each of the last N years that have one."`
	KeepFor     string `name:"keep-for" group:"Retention" placeholder:"DURATION" builtin:"none" help:"Keep every backup that is at most so much older than the newest, for example 48h, 30d or 8w."`
	KeepMinimum string `name:"keep-minimum" group:"Retention" placeholder:"DURATION" builtin:"1d" help:"Never remove a backup that is not yet so much older than the newest, whatever the others say."`
}

// Flags is every flag there is. What a command does not offer stays zero, which means "not given".
type Flags struct {
	CommonFlags
	DatabaseFlags
	StorageFlags
	SealFlags
	OpenFlags
	TrustFlags
	TimeoutFlags
	JobsFlags
	SnapshotFlags
	ScheduleFlags
	KeepFlags
}
