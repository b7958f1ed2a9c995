package config

import (
	"os"
	"path/filepath"
)

// Credentials are the names of what an instance can be given as systemd credentials, by the variable that each
// stands for. A file of that name is read as if the variable named it, unless flags, environment or NAME.env set it.
func Credentials() map[string]string {
	return map[string]string{
		"apikey":                 varAPIKey + fileSuffix,
		"db-password":            varDBPassword + fileSuffix,
		"public-key":             varPublicKey,
		"private-key":            varPrivateKey + fileSuffix,
		"private-key-passphrase": varPassphrase + fileSuffix,
		"ping-url":               varPingURL + fileSuffix,
		"rclone-config":          varRcloneConfig,
		"s3-access-key-id":       varS3AccessKey + fileSuffix,
		"s3-secret-access-key":   varS3SecretKey + fileSuffix,
		"s3-session-token":       varS3Session + fileSuffix,
	}
}

// CredentialName is what systemd calls a credential of an instance: "dbacked.shop.db-password".
func CredentialName(instance, name string) string { return "dbacked." + instance + "." + name }

// findCredentials fills the layer of the credentials.
func (l *loader) findCredentials() {
	instance := l.config.Instance
	if instance == "" {
		return
	}
	find := l.options.Credential
	if find == nil {
		find = l.delivered
	}
	for name, variable := range Credentials() {
		if l.wanted(variable) {
			if path := find(instance, name); path != "" {
				l.layers.put(fromCredentials, variable, "the credential "+CredentialName(instance, name), path)
			}
		}
	}
}

// wanted tells whether the command at hand has a use for a credential: one of another would be read in vain.
func (l *loader) wanted(variable string) bool {
	switch variable {
	case varDBPassword + fileSuffix:
		return l.needs(NeedDatabase)
	case varPublicKey:
		return l.needs(NeedPublicKey)
	case varPingURL + fileSuffix:
		return l.needs(NeedSchedule)
	case varAPIKey + fileSuffix, varRcloneConfig, varS3AccessKey + fileSuffix, varS3SecretKey + fileSuffix, varS3Session + fileSuffix:
		return l.needs(needStorage)
	}
	return l.needs(NeedPrivateKey) || l.needs(WantPrivateKey)
}

// delivered returns the path of a credential that systemd gave to this process.
func (l *loader) delivered(instance, name string) string {
	directory := l.inherited["CREDENTIALS_DIRECTORY"]
	if !filepath.IsAbs(directory) {
		return ""
	}
	path := filepath.Join(directory, CredentialName(instance, name))
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
