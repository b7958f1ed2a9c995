// Package config turns flags, the environment, /etc/dbacked/NAME.env and config.json into one checked [Config].
//
// # Where settings come from
//
// Each setting is looked for in this order, and the first place that has it wins:
//
//  1. the flag, as in --db-host db.example.org
//  2. the environment, as in DBACKED_DB_HOST=db.example.org
//  3. the file NAME.env in the configuration folder, by default /etc/dbacked/NAME.env
//  4. config.json in the same folder, which the former agent wrote
//  5. the default
//
// An empty value counts as not given. NAME is the instance: a letter or digit, then at most 62 letters, digits, dots,
// dashes or underscores. When it is left out, the database's name serves, if it can be a NAME; its NAME.env then
// applies as if it had been given. A NAME without a file is fine when flags and environment give all that is needed.
// [Config.Source] tells where a value came from.
//
// # NAME.env
//
// The file is read exactly as systemd reads EnvironmentFile=, so one file serves both:
//
//	# /etc/dbacked/shop.env, mode 0600
//	DBACKED_DB_TYPE=pg
//	DBACKED_DB_NAME=shop
//	DBACKED_DB_USERNAME=dbacked
//	DBACKED_DB_PASSWORD='pa$$ "word" \ # and all'
//	DBACKED_PUBLIC_KEY=/etc/dbacked/shop.public.pem
//	PGAPPNAME=backup
//
// Comments begin with # or ; and stand on lines of their own. Blanks around names and values go. Single
// quotes keep everything; double quotes keep everything but a backslash before " \ ` $ or a line's end;
// unquoted, a backslash keeps the next character. Quoted values can span lines. A $ is a $: nothing is expanded.
// Names without DBACKED_ (PG…, AWS_…, proxies) go to the database's tools, unless the environment has them already.
//
// dbacked is stricter than systemd where systemd would skip what somebody wrote: a line without "=", a name that
// is no variable's, a quote that is never closed, text that is not UTF-8, and a DBACKED_ name that is no setting are
// errors that name the line. A "#" after a value (it is part of the value), a name set twice (the last applies) and a comment
// that ends in a backslash (systemd before 254 takes the next line as comment) are warnings. Files are bounded to 1 MiB.
//
// # Secrets
//
// Every secret can also be read from a file, of which one trailing newline is dropped: DBACKED_DB_PASSWORD_FILE,
// --db-password-file. Of the two forms, one place may give one. A password as a flag works, with a warning: ps shows it.
// Files with secrets that every user can read are warned about. A [Secret] prints as [secret] everywhere.
//
// Keys are PEM text or a file's path. PEM whose newlines became \n or blanks is repaired. On the command line, PEM
// begins with dashes: run the arguments through [NormalizeArgs] before kong parses them.
//
// Paths in NAME.env and config.json are absolute; in flags and the environment they may start from the current folder.
//
// # Database hosts
//
// Without --db-host, PostgreSQL is reached through its local socket in /var/run/postgresql when that folder exists,
// else at localhost, and MySQL and MariaDB at localhost. An absolute path is a unix socket: its folder for
// PostgreSQL, the socket itself for MySQL.
//
// # Settings
//
// Those without a flag must not stand on a command line.
//
//	--config-directory, DBACKED_CONFIG_DIRECTORY
//	    Folder of NAME.env and config.json.
//	    Default: /etc/dbacked
//	--state-directory, DBACKED_STATE_DIRECTORY
//	    Folder of what dbacked remembers: its signing key, the last backup it saw.
//	    Default: $STATE_DIRECTORY/.state, or /var/lib/dbacked/NAME/.state
//	--db-type, DBACKED_DB_TYPE
//	    Engine of the database: pg or mysql (postgres, postgresql and mariadb are understood).
//	--db-host, DBACKED_DB_HOST
//	    Host name, IP address, or the absolute path of a unix socket (pg: its folder, mysql: the socket itself).
//	    Default: /var/run/postgresql when it exists (pg), else localhost
//	--db-port, DBACKED_DB_PORT
//	    Port of the database server.
//	    Default: 5432 (pg), 3306 (mysql)
//	--db-username, DBACKED_DB_USERNAME
//	    User to connect as, for example dbacked.
//	--db-password, DBACKED_DB_PASSWORD
//	    Password of the user. As a flag it is visible to every user of the machine: better use --db-password-file or the env file.
//	--db-password-file, DBACKED_DB_PASSWORD_FILE
//	    File that holds the password, for example /etc/dbacked/shop.password (mode 0600).
//	--db-name, DBACKED_DB_NAME
//	    Name of the database, for example shop.
//	--dumper-options, DBACKED_DUMPER_OPTIONS
//	    More options for the dump tool, quoted as in a shell, for example "--exclude-table=log --exclude-table='my table'".
//	--tools-path, DBACKED_TOOLS_PATH
//	    Folders to search first for the database's tools, for example /usr/lib/postgresql/17/bin.
//	--db-tls-mode, DBACKED_DB_TLS_MODE
//	    TLS to the server: disable, prefer, require, verify-ca or verify-full.
//	    Default: prefer
//	--db-tls-ca, DBACKED_DB_TLS_CA
//	    Certificates (PEM) that the server's is checked against in the verify modes.
//	--db-tls-cert, DBACKED_DB_TLS_CERT
//	    Certificate (PEM) to show to the server; needs --db-tls-key.
//	--db-tls-key, DBACKED_DB_TLS_KEY
//	    Private key (PEM) of --db-tls-cert, mode 0600.
//	--s3-endpoint, DBACKED_S3_ENDPOINT
//	    Address of the service, for example https://s3.example.org.
//	    Default: Amazon's of the region
//	--s3-region, DBACKED_S3_REGION
//	    Region of the bucket.
//	    Default: $AWS_REGION, else us-east-1
//	DBACKED_S3_ACCESS_KEY_ID
//	    Access key. Without one, credentials come from where Amazon's tools look: AWS_… variables, the shared file, a web identity, the machine's metadata.
//	--s3-access-key-id-file, DBACKED_S3_ACCESS_KEY_ID_FILE
//	    File that holds the access key.
//	DBACKED_S3_SECRET_ACCESS_KEY
//	    Secret key that belongs to the access key.
//	--s3-secret-access-key-file, DBACKED_S3_SECRET_ACCESS_KEY_FILE
//	    File that holds the secret key.
//	DBACKED_S3_SESSION_TOKEN
//	    Session token of temporary credentials.
//	--s3-session-token-file, DBACKED_S3_SESSION_TOKEN_FILE
//	    File that holds the session token.
//	--s3-path-style, DBACKED_S3_PATH_STYLE
//	    Whether the bucket stands in the path and not in the host's name: auto, always or never.
//	    Default: auto
//	--s3-ca, DBACKED_S3_CA
//	    Certificates (PEM) that are trusted besides the system's.
//	--s3-sse, DBACKED_S3_SSE
//	    Encryption by the service too: AES256, aws:kms or aws:kms:KEY.
//	--s3-storage-class, DBACKED_S3_STORAGE_CLASS
//	    Storage class, for example STANDARD_IA.
//	    Default: the bucket's
//	--s3-checksum, DBACKED_S3_CHECKSUM
//	    Checksum that the service verifies each part by: sha256, or md5 for services that refuse it.
//	    Default: sha256
//	--s3-max-parts, DBACKED_S3_MAX_PARTS
//	    Parts that the service takes of one file; a longer stream goes on in the next file.
//	    Default: 10000
//	--s3-object-lock, DBACKED_S3_OBJECT_LOCK
//	    Protect every file and manifest for so long: compliance:30d or governance:30d. The bucket must have object lock.
//	--orphan-age, DBACKED_ORPHAN_AGE
//	    Age from which what another machine may have left unfinished is removed.
//	    Default: 7d
//	--upload-rate, DBACKED_UPLOAD_RATE
//	    Most bytes a second to send, for example 20MB.
//	    Default: no limit
//	--upload-memory, DBACKED_UPLOAD_MEMORY
//	    Memory for parts on their way.
//	    Default: 16MiB to a folder, else 64MiB
//	--apikey, DBACKED_APIKEY
//	    Key of a project of the DBacked service, which then says when a backup is due and keeps it, in place of --storage. As a flag it is visible to every user of the machine: better use --apikey-file or the env file.
//	--apikey-file, DBACKED_APIKEY_FILE
//	    File that holds the key of the service, for example /etc/dbacked/shop.apikey (mode 0600).
//	--api-url, DBACKED_API_URL
//	    Address of the service, for example https://backups.example.org.
//	    Default: https://api.dbacked.com
//	--storage, DBACKED_STORAGE
//	    Where backups lie, below a folder NAME: file:///absolute/path, s3://bucket/prefix, or rclone://remote:path for what the program rclone reaches. Several, separated by commas: each backup goes to all of them; a comma in a name is written %2C.
//	    Default: file:///var/lib/dbacked
//	--lock, DBACKED_LOCK
//	    What keeps two runs of an instance apart: storage (a lease in a bucket, a file in a folder; with rclone, a file of this machine), or database, a lock of the database's server, for services without conditional writes.
//	    Default: storage
//	--rclone-config, DBACKED_RCLONE_CONFIG
//	    Configuration file of rclone, in which the remote is described, for example /etc/dbacked/rclone.conf (mode 0600).
//	    Default: where rclone looks
//	--public-key, DBACKED_PUBLIC_KEY
//	    RSA public key that backups are encrypted for: PEM text or a file, for example /etc/dbacked/public.pem. Several keys (several PEM blocks, or the flag several times): each of them opens the backup.
//	--compression, DBACKED_COMPRESSION
//	    Compression before encryption: zstd, zstd:1 to zstd:19, gzip or none.
//	    Default: zstd
//	--format, DBACKED_FORMAT
//	    Format of the encrypted files: 1, or legacy for the former agent's.
//	    Default: 1
//	DBACKED_PRIVATE_KEY
//	    RSA private key that opens backups: PEM text or a file's path.
//	--private-key-path, DBACKED_PRIVATE_KEY_FILE
//	    File of the RSA private key (PEM) that opens backups, for example ./private.pem.
//	DBACKED_PRIVATE_KEY_PASSPHRASE
//	    Passphrase of the private key; asked for on a terminal when it is not set.
//	--passphrase-file, DBACKED_PRIVATE_KEY_PASSPHRASE_FILE
//	    File that holds the passphrase of the private key.
//	--trust, DBACKED_TRUST
//	    Verifier keys of the hosts whose backups are trusted, separated by commas or blanks; "dbacked check" prints a host's.
//	--connect-timeout, DBACKED_CONNECT_TIMEOUT
//	    Longest wait for a connection to the database.
//	    Default: 30s
//	--lock-timeout, DBACKED_LOCK_TIMEOUT
//	    Longest wait for locks on the database's tables.
//	    Default: 5m
//	--stall-timeout, DBACKED_STALL_TIMEOUT
//	    Longest time without a byte from a tool or to the storage.
//	    Default: 10m
//	--stop-timeout, DBACKED_STOP_TIMEOUT
//	    Longest wait for tools to end by themselves when a run is stopped.
//	    Default: 10s
//	--jobs, DBACKED_JOBS
//	    Dumps of a database that go on at once, from one snapshot; 1: one stream, as for a database without large tables.
//	    Default: half the cores, at least 2
//	--block-limit, DBACKED_BLOCK_LIMIT
//	    Longest time that another session may wait behind the locks of a parallel dump before that gives way, to be tried later; 0: for ever.
//	    Default: 60s
//	--large-table, DBACKED_LARGE_TABLE
//	    Least size of a table that is dumped by itself; of MySQL, that has the database dumped in parts.
//	    Default: 64MiB
//	--count-rows, DBACKED_COUNT_ROWS
//	    Count the rows of each table in the snapshot too, and compare them with those that were dumped.
//	    Default: false
//	--schedule, DBACKED_SCHEDULE
//	    When backups are due: a cron expression of five fields, for example "30 2 * * *", or @hourly, @daily, @weekly, @monthly.
//	    Default: @daily
//	--timezone, DBACKED_TIMEZONE
//	    Time zone of the schedule, for example Europe/Paris.
//	    Default: the system's
//	--random-delay, DBACKED_RANDOM_DELAY
//	    Longest random delay of each backup that is due, so that many hosts do not start at once.
//	    Default: 0s
//	--poll-interval, DBACKED_POLL_INTERVAL
//	    How often the agent asks the service whether a backup is due, give or take a tenth.
//	    Default: 5m
//	--listen, DBACKED_LISTEN
//	    Where else the status page is served: host:port, or the absolute path of a unix socket.
//	    Default: none; the socket of systemd is always served
//	--ping-url, DBACKED_PING_URL
//	    URL that is told of each run: URL/start, URL when it was proved, URL/fail when it failed. For a dead man's switch.
//	--ping-url-file, DBACKED_PING_URL_FILE
//	    File that holds the URL to tell of each run.
//	--keep-last, DBACKED_KEEP_LAST
//	    Keep the newest N backups.
//	    Default: none
//	--keep-daily, DBACKED_KEEP_DAILY
//	    Keep the newest backup of each of the last N days that have one.
//	    Default: none
//	--keep-weekly, DBACKED_KEEP_WEEKLY
//	    Keep the newest backup of each of the last N weeks that have one; a week begins on Monday.
//	    Default: none
//	--keep-monthly, DBACKED_KEEP_MONTHLY
//	    Keep the newest backup of each of the last N months that have one.
//	    Default: none
//	--keep-yearly, DBACKED_KEEP_YEARLY
//	    Keep the newest backup of each of the last N years that have one.
//	    Default: none
//	--keep-for, DBACKED_KEEP_FOR
//	    Keep every backup that is at most so much older than the newest, for example 48h, 30d or 8w.
//	    Default: none
//	--keep-minimum, DBACKED_KEEP_MINIMUM
//	    Never remove a backup that is not yet so much older than the newest, whatever the others say.
//	    Default: 1d
//
// # Example
//
//	flags := config.Flags{DatabaseFlags: cli.DatabaseFlags, StorageFlags: cli.StorageFlags, SealFlags: cli.SealFlags}
//	c, err := config.Load("shop", flags, os.Environ(), config.NeedDatabase|config.NeedPublicKey|config.NeedStorage)
//	var wrong *config.Error // every problem, one a line
//	if errors.As(err, &wrong) { … }
package config
