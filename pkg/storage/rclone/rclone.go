// Package rclone keeps objects wherever the program rclone can: SFTP, WebDAV,
// Azure, Google, Backblaze, Dropbox and many more. It drives the rclone that is
// installed, 1.57 or newer, one run of it per call.
//
// An object is streamed to a hidden file beside its name ("rclone rcat"), whose
// size, and whose checksum where the remote keeps one that is known here, are
// compared with what was sent; then it is renamed ("rclone moveto"). A run that
// was killed leaves hidden files: they are never listed, and
// [Store.RemoveUnfinished] removes them once they are old.
//
// What rclone cannot do, this store cannot:
//
//   - Parts go through one pipe: each is taken when those before it were, once.
//     Only the first can be written again. rclone itself tries again what the
//     remote refuses for the moment.
//   - Nothing is conditional. Within one process one of several writers of a name
//     wins; another machine could overwrite what is there. So there is no lease,
//     and a lock that all machines see is the database's.
//   - Earlier versions of an object are not seen, and none is protected.
//   - Where a remote takes no stream of unknown length, an object has one part.
//   - A remote that can neither move nor copy is refused: each file would come
//     back through this machine, and be seen while it is written.
//
// [Store.Lacks] says which of these hold for a remote.
//
// Of the environment's variables RCLONE_… rclone gets those that say where and how
// fast it works. Others are kept from it, as they could let it leave out files.
//
// No secret is on a command line: rclone takes them from its own configuration
// file or from its environment. Errors are what rclone printed, without the
// queries of addresses and without what is secret in the environment.
package rclone

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Options says where objects are kept. Only Remote is needed.
type Options struct {
	// Remote is what rclone calls the folder: "NAME:PATH", NAME being a section
	// of its configuration. A remote that is described on the command line
	// (":sftp,host=…:") is refused.
	Remote string
	// Config is the path of rclone's configuration file. Empty is where rclone
	// itself looks.
	Config string
	// Environ is the whole environment of rclone, as of os.Environ.
	Environ []string
	// Stall is the longest that rclone may run without a byte to or from it.
	// 0 means 5 minutes.
	Stall time.Duration
	// OrphanAge is from when on unfinished objects are removed. 0 means 7 days.
	OrphanAge time.Duration
	// Backoff says how often what only reads is tried again. The zero value is
	// 4 tries, 1 s doubling.
	Backoff storage.Backoff
}

const (
	defaultStall     = 5 * time.Minute
	defaultOrphanAge = 7 * 24 * time.Hour
	defaultTries     = 4

	// maxPart is the most that is handed over at a time, and maxParts keep an
	// object of unknown length at 32 GiB: of S3, rclone could send 48 GiB.
	maxPart  = 4 << 20
	maxParts = 8192
)

// Store is a storage.Store over one folder of a remote. Its methods may be called
// from several goroutines.
type Store struct {
	options Options
	program string
	environ []string
	secrets []string // in environ
	refused []string // names that are not in environ, but were given

	traits     chan *traits  // what is known of the remote; holds one value
	publishing chan struct{} // held by who gives an object its name
}

var (
	_ storage.Store     = (*Store)(nil)
	_ storage.Cleaner   = (*Store)(nil)
	_ storage.Limited   = (*Store)(nil)
	_ storage.Reclaimer = (*Store)(nil)
)

// Open looks for the program and checks o. It runs nothing: whether the remote is
// there, the first call tells.
func Open(o Options) (*Store, error) {
	if err := CheckRemote(o.Remote); err != nil {
		return nil, err
	}
	program, err := exec.LookPath("rclone")
	if err != nil {
		return nil, fmt.Errorf("storage rclone://%s: the program rclone is not there: install the package rclone, or see rclone.org (%w)", o.Remote, err)
	}
	if o.Stall <= 0 {
		o.Stall = defaultStall
	}
	if o.OrphanAge <= 0 {
		o.OrphanAge = defaultOrphanAge
	}
	if o.Backoff.Tries <= 0 {
		o.Backoff = storage.Backoff{Tries: defaultTries, First: time.Second}
	}
	s := &Store{options: o, program: program, traits: make(chan *traits, 1), publishing: make(chan struct{}, 1)}
	s.environ, s.secrets, s.refused = environment(o)
	s.traits <- nil
	return s, nil
}

var remotePattern = regexp.MustCompile(`^[\pL\pN_.+@][\pL\pN_.+@ -]*:[^\p{Cc}]*$`)

// CheckRemote says whether text is "NAME:PATH", the path without "." and "..".
func CheckRemote(text string) error {
	name, path, found := strings.Cut(text, ":")
	switch {
	case !found:
		return errors.New("it names no remote: write rclone://REMOTE:PATH, REMOTE being a section of rclone's configuration")
	case name == "" || strings.Contains(name, ","):
		return errors.New("the remote would be described on a command line, which everybody can read: write it into rclone's configuration, and its name here")
	case !remotePattern.MatchString(text) || strings.HasSuffix(name, " "):
		return errors.New("it is no remote's name: letters, digits and _ . + @ - are, then a colon and the path")
	}
	for element := range strings.SplitSeq(path, "/") {
		if element == "." || element == ".." {
			return errors.New("the path has an element that is . or .., which is not taken")
		}
	}
	return nil
}

// Close does nothing: no rclone outlives its call.
func (s *Store) Close() error { return nil }

// String is the store's address: rclone://nas:backups.
func (s *Store) String() string { return "rclone://" + s.options.Remote }

// Limits are those of one pipe. It asks rclone what the remote can do, for a
// minute at most; one that does not say is taken to be the least able.
func (s *Store) Limits() storage.Limits {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if t, err := s.ask(ctx); err == nil && t.streams {
		return storage.Limits{MaxParts: maxParts, MaxPart: maxPart}
	}
	return storage.Limits{MaxParts: 1}
}

// target is what rclone calls an object, or the folder itself.
func (s *Store) target(name string) string {
	root := s.options.Remote
	if name == "" || strings.HasSuffix(root, ":") || strings.HasSuffix(root, "/") {
		return root + name
	}
	return root + "/" + name
}

// address is target for people.
func (s *Store) address(name string) string { return "rclone://" + s.target(name) }

// check refuses a context that ended and a name that no store takes.
func check(ctx context.Context, name string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return storage.CheckName(name)
}
