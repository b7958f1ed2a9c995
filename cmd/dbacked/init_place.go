package main

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/dbacked/dbacked/pkg/api"
)

// stateRoot is where each instance has its folder, which its service may write.
const stateRoot = "/var/lib/dbacked"

const fileScheme = "file://"

// storage settles where backups lie, and sees that the service can write there.
func (w *wizard) storage(ctx context.Context) error {
	d := w.draft
	if w.asked && !d.settled["DBACKED_STORAGE"] {
		w.say("\nBackups go to a folder, to a bucket (s3://bucket/prefix), to what the program rclone reaches (rclone://remote:path),")
		w.say("or to a DBacked service, which also says when they are made (its address, as https://backups.example.org).")
	}
	return w.group(ctx, func(ctx context.Context) error {
		if d.isService() {
			return w.tryService(ctx)
		}
		return w.tryStorage(ctx)
	}, question{
		variable: "DBACKED_STORAGE", text: "Where to", fallback: d.proposedPlace, clean: d.place,
		check: func(string) error { return d.wrongOf("DBACKED_API_URL") },
	}, w.apikeyQuestion())
}

// folderURL lets a person write a folder as one.
func folderURL(typed string) string {
	typed = expand(typed)
	if !filepath.IsAbs(typed) {
		return typed
	}
	return (&url.URL{Scheme: "file", Path: filepath.Clean(typed)}).String()
}

// insteadOf are the settings, itself among them if it has several forms, that say the
// same as one: where it stands higher, it takes their place.
func insteadOf(variable string) []string {
	switch variable {
	case "DBACKED_DB_PASSWORD", "DBACKED_DB_PASSWORD_FILE":
		return []string{"DBACKED_DB_PASSWORD", "DBACKED_DB_PASSWORD_FILE"}
	case "DBACKED_APIKEY", "DBACKED_APIKEY_FILE":
		return []string{"DBACKED_APIKEY", "DBACKED_APIKEY_FILE", "DBACKED_STORAGE"}
	case "DBACKED_STORAGE":
		return []string{"DBACKED_APIKEY", "DBACKED_APIKEY_FILE"}
	}
	return nil
}

// isService says whether a DBacked service keeps the backups.
func (d *draft) isService() bool {
	key := d.values["DBACKED_APIKEY"] != "" || d.values["DBACKED_APIKEY_FILE"] != ""
	return d.values["DBACKED_STORAGE"] == "" && (key || d.settled["DBACKED_API_URL"])
}

// place makes of what is typed a storage, or, for the address of a service, none.
func (d *draft) place(typed string) string {
	switch {
	case typed == "":
		return ""
	case strings.HasPrefix(typed, "https://"), strings.HasPrefix(typed, "http://"):
		d.give("DBACKED_API_URL", typed)
		return ""
	}
	for _, variable := range append(insteadOf("DBACKED_STORAGE"), "DBACKED_API_URL") {
		delete(d.values, variable)
		delete(d.settled, variable)
	}
	return folderURL(typed)
}

// proposedPlace is where backups go if nothing else is said.
func (d *draft) proposedPlace() string {
	if !d.isService() {
		return fileScheme + stateRoot
	}
	if url := d.values["DBACKED_API_URL"]; url != "" {
		return url
	}
	return api.DefaultURL
}
