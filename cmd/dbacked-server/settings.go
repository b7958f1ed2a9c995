package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/dbacked/dbacked/pkg/config"
)

// settingsFile is what systemd reads for the service. Commands read it too, so that
// both mean the same data.
const settingsFile = "/etc/dbacked-server/server.env"

// elsewhere are what names other data than the service's.
var elsewhere = []string{"data", "database"}

// settings puts what a file says into the environment, unless it is there already.
// Who names a folder or a database means that one, not the service's: nothing of the
// file applies then. Who may not read it is told by the data folder who may.
func settings(path string, args []string) error {
	for _, name := range elsewhere {
		if os.Getenv("DBACKED_SERVER_"+strings.ToUpper(name)) != "" {
			return nil
		}
		for _, arg := range args {
			if arg == "--"+name || strings.HasPrefix(arg, "--"+name+"=") {
				return nil
			}
		}
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	values, err := config.EnvFile(text)
	if err != nil {
		return fmt.Errorf("%s, %w", path, err)
	}
	for name, value := range values {
		if _, set := os.LookupEnv(name); set {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}
