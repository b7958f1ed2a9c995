package catalog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// agentFile holds, in the state folder, the id of this installation.
const agentFile = "agent-id"

// LoadOrCreateAgentID returns the id by which manifests name this
// installation; one is made on first use. It means nothing but itself.
func LoadOrCreateAgentID(dir string) (string, error) {
	path := filepath.Join(dir, agentFile)
	for {
		text, err := os.ReadFile(path)
		if err == nil {
			if id := strings.TrimSpace(string(text)); id != "" {
				return id, nil
			}
			return "", fmt.Errorf("%s is empty: remove it, and a new id is made", path)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", stateError(err)
		}
		if err := makeFolder(dir); err != nil {
			return "", stateError(err)
		}
		if err := create(path, rand.Text()+"\n", 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", stateError(err)
		}
	}
}

// KeepAgentID makes id, of an installation that this one succeeds, the one that
// LoadOrCreateAgentID returns, unless there is one already.
func KeepAgentID(dir, id string) error {
	if err := makeFolder(dir); err != nil {
		return stateError(err)
	}
	err := create(filepath.Join(dir, agentFile), strings.TrimSpace(id)+"\n", 0o600)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return stateError(err)
	}
	return nil
}
