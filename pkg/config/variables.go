package config

// The variables that the code asks for by name. A test holds that each is a Setting and that each Setting is here.
const (
	varConfigDirectory = "DBACKED_CONFIG_DIRECTORY"
	varStateDirectory  = "DBACKED_STATE_DIRECTORY"
	varDBType          = "DBACKED_DB_TYPE"
	varDBHost          = "DBACKED_DB_HOST"
	varDBPort          = "DBACKED_DB_PORT"
	varDBUsername      = "DBACKED_DB_USERNAME"
	varDBPassword      = "DBACKED_DB_PASSWORD"
	varDBName          = "DBACKED_DB_NAME"
	varDumperOptions   = "DBACKED_DUMPER_OPTIONS"
	varToolsPath       = "DBACKED_TOOLS_PATH"
	varDBTLSMode       = "DBACKED_DB_TLS_MODE"
	varDBTLSCA         = "DBACKED_DB_TLS_CA"
	varDBTLSCert       = "DBACKED_DB_TLS_CERT"
	varDBTLSKey        = "DBACKED_DB_TLS_KEY"
	varStorage         = "DBACKED_STORAGE"
	varAPIKey          = "DBACKED_APIKEY"
	varPublicKey       = "DBACKED_PUBLIC_KEY"
	varCompression     = "DBACKED_COMPRESSION"
	varFormat          = "DBACKED_FORMAT"
	varPrivateKey      = "DBACKED_PRIVATE_KEY"
	varPassphrase      = "DBACKED_PRIVATE_KEY_PASSPHRASE"
	varTrust           = "DBACKED_TRUST"
	varConnectTimeout  = "DBACKED_CONNECT_TIMEOUT"
	varLockTimeout     = "DBACKED_LOCK_TIMEOUT"
	varStallTimeout    = "DBACKED_STALL_TIMEOUT"
	varStopTimeout     = "DBACKED_STOP_TIMEOUT"
	varSchedule        = "DBACKED_SCHEDULE"
	varTimezone        = "DBACKED_TIMEZONE"
	varRandomDelay     = "DBACKED_RANDOM_DELAY"
	varListen          = "DBACKED_LISTEN"
	varPingURL         = "DBACKED_PING_URL"

	// fileSuffix makes the variable of a secret the one of the file that holds it.
	fileSuffix = "_FILE"
	// testPrefix begins names that the project's own tests use; they are nobody's mistake.
	testPrefix = "DBACKED_TEST_"
)
