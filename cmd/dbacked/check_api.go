package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/encryptor"
)

const (
	subjectAPI = "service"
	subjectKey = "public key"
)

// checkAPI asks the service for the project of the key, and looks at the public key
// that a backup would be encrypted for.
func checkAPI(ctx context.Context, c *config.Config) []dumper.Finding {
	conn, err := newClient(c, "")
	if err != nil {
		return []dumper.Finding{finding(subjectAPI, "", "see DBACKED_API_URL and DBACKED_APIKEY", err)}
	}
	defer func() { _ = conn.Close() }()
	project, err := conn.Project(ctx)
	if err != nil {
		return []dumper.Finding{finding(subjectAPI, "", "see DBACKED_API_URL and DBACKED_APIKEY", err)}
	}
	found := []dumper.Finding{{Level: dumper.OK, Subject: subjectAPI, Message: describeProject(c, project)}}
	if err := makesBackups(project); err != nil {
		found = append(found, finding(subjectAPI, "", fixKeyKind, err))
	}
	return append(append(found, checkCapabilities(project)...), checkProjectKey(c, project))
}

const fixKeyKind = "take one of the kind agent: dbacked-server key create PROJECT"

// makesBackups says whether a key is for that. A service that does not tell will tell
// whoever tries.
func makesBackups(p api.Project) error {
	if p.KeyKind == api.KeyRestore {
		return errors.New("the key is of the kind restore: it reads backups, and makes none")
	}
	return nil
}

func describeProject(c *config.Config, p api.Project) string {
	text := fmt.Sprintf("%s knows the key, of the project %s", c.Storage, printable(cmp.Or(p.Name, p.ID)))
	if p.Schedule != "" {
		text += fmt.Sprintf(", which is backed up by %q, %s", printable(p.Schedule), printable(p.Timezone))
	}
	switch {
	case p.NextDue == nil:
	case p.NextDue.After(time.Now()):
		text += ", next at " + p.NextDue.Local().Format(time.DateTime)
	default:
		text += ", and due now"
	}
	return text
}

// checkCapabilities says what a service lacks that backups would be better for.
func checkCapabilities(p api.Project) []dumper.Finding {
	if !p.Old() {
		return nil
	}
	return []dumper.Finding{{
		Level: dumper.Warn, Subject: subjectAPI,
		Message: "it keeps one file a backup and no manifest: roles are not backed up, nothing there proves who made a backup (restore takes --accept-unproved-origin), and verify needs the private key",
		Fix:     "dbacked-server keeps both",
	}}
}

// checkProjectKey is what sealFor would say, without remembering anything.
func checkProjectKey(c *config.Config, p api.Project) dumper.Finding {
	if c.Keys.PublicKeys != "" {
		own, err := recipients(c)
		if err == nil && p.PublicKey != "" && !holds(own, p.PublicKey) {
			return dumper.Finding{
				Level: dumper.Warn, Subject: subjectKey, Message: "the project of the service has another key, " + keyName(p.PublicKey) + ", than DBACKED_PUBLIC_KEY, which is used",
				Fix: "give the project this key: dbacked-server project set NAME --public-key FILE",
			}
		}
		return checkKeys(c)
	}
	if p.PublicKey == "" {
		return dumper.Finding{Level: dumper.Fail, Subject: subjectKey, Message: "none here, and none in the project of the service", Fix: "set DBACKED_PUBLIC_KEY, or give the project a key; dbacked keygen makes a pair"}
	}
	if _, err := encryptor.ParsePublicKeys([]byte(p.PublicKey)); err != nil {
		return finding(subjectKey, "", "give the project another one", err)
	}
	pinned, err := catalog.PinnedKey(c.StateDirectory)
	if err == nil && pinned != "" && keyName(pinned) != keyName(p.PublicKey) {
		err = &keyChangedError{instance: c.Instance, pinned: keyName(pinned), named: keyName(p.PublicKey)}
	}
	return finding(subjectKey, "the project's: "+keyName(p.PublicKey), "", err)
}
