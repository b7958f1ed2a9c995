package files

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"go.uber.org/zap"
)

const (
	defaultMaxPart = 512 << 20
	defaultStall   = 2 * time.Minute
)

// FolderOptions may be left empty.
type FolderOptions struct {
	// Allowed is asked before a part's body is read, and again when it was. Its error is answered: as it is
	// if it is an *api.Problem, else as 409 with its text.
	Allowed func(context.Context, Ref, Part) error
	// Stored is told before a part's PUT is answered, but not when the part was put
	// again after the file was complete. Its error is answered: as it is if it is an
	// *api.Problem, else as 503 without its text.
	Stored func(context.Context, Ref, Part) error

	MaxPart int64            // bytes of a part; 0: 512 MiB
	Now     func() time.Time // nil: time.Now

	StallTimeout time.Duration // how long a client may send or take nothing; 0: 2 min
	Log          *zap.Logger   // what clients are not told; nil: nowhere
}

func (o FolderOptions) withDefaults() FolderOptions {
	if o.MaxPart <= 0 {
		o.MaxPart = defaultMaxPart
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = defaultStall
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return o
}

// Folder keeps each part of a file as a file of its own:
//
//	PROJECT/BACKUP/NUMBER/00001-MD5   a part
//	PROJECT/BACKUP/NUMBER/complete    what the file is made of, written last
//	.tmp/                             parts that are on their way
//
// Several processes may use one folder; it must be on a local file system.
type Folder struct {
	root    *os.Root
	secret  []byte
	options FolderOptions
}

// OpenFolder makes the folder if it is missing, and removes what killed servers left.
// secret signs the addresses: at least 32 bytes, the same for all servers.
func OpenFolder(dir string, secret []byte, o FolderOptions) (*Folder, error) {
	if len(secret) < 32 {
		return nil, errors.New("the secret of signed addresses needs 32 bytes")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of files: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("folder of files: %w", err)
	}
	f := &Folder{root: root, secret: append([]byte(nil), secret...), options: o.withDefaults()}
	if err := f.prepare(); err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("folder of files %s: %w", dir, err)
	}
	return f, nil
}

// Close lets go of the folder. Nothing may use it any more.
func (f *Folder) Close() error { return f.root.Close() }

// Begin has nothing to do.
func (f *Folder) Begin(_ context.Context, r Ref) (string, error) { return "", r.check() }

// PartURL is an address of ServeHTTP, below base.
func (f *Folder) PartURL(_ context.Context, base string, r Ref, _ string, p Part, valid time.Duration) (string, error) {
	if err := errors.Join(r.check(), p.check()); err != nil {
		return "", err
	}
	if p.Size > f.options.MaxPart {
		return "", fmt.Errorf("part %d of %v has %d bytes: at most %d are taken", p.Number, r, p.Size, f.options.MaxPart)
	}
	sum, err := base64.StdEncoding.DecodeString(p.MD5)
	if err != nil {
		return "", err
	}
	a := address{ref: r, part: p.Number, expires: f.options.Now().Add(valid).Unix(), md5: base64.RawURLEncoding.EncodeToString(sum), size: p.Size}
	if p.Size == 0 {
		a.size = -1
	}
	return a.url(base, f.secret), nil
}

// DownloadURL is an address of ServeHTTP, below base.
func (f *Folder) DownloadURL(_ context.Context, base string, r Ref, valid time.Duration) (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	return address{ref: r, expires: f.options.Now().Add(valid).Unix()}.url(base, f.secret), nil
}

// Read returns a small file.
func (f *Folder) Read(_ context.Context, r Ref, limit int64) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	m, err := f.manifest(r)
	if err != nil {
		return nil, fmt.Errorf("read %v: %w", r, err)
	}
	if m.Size > limit {
		return nil, fmt.Errorf("read %v: it has %d bytes, and at most %d are expected", r, m.Size, limit)
	}
	s := f.stream(r, m)
	defer func() { _ = s.Close() }() // it was only read
	data, err := io.ReadAll(s)
	if err != nil {
		return nil, fmt.Errorf("read %v: %w", r, err)
	}
	return data, nil
}

// Remove takes the file away from readers first.
func (f *Folder) Remove(_ context.Context, r Ref, _ string) error {
	if err := r.check(); err != nil {
		return err
	}
	unlock, err := f.lock(r, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %v: %w", r, err)
	}
	defer unlock()
	if err := f.root.Remove(completePath(r)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %v: %w", r, err)
	}
	if err := f.root.RemoveAll(r.String()); err != nil {
		return fmt.Errorf("remove %v: %w", r, err)
	}
	f.removeEmpty(r)
	return nil
}

// removeEmpty removes a file's folders, unless another file of the backup, or another
// backup, keeps them.
func (f *Folder) removeEmpty(r Ref) {
	for dir := r.String(); dir != "."; dir = path.Dir(dir) {
		if err := f.root.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

// tagOf is the ETag, without quotes, of a part whose MD5 an address holds.
func tagOf(md5url string) string {
	sum, err := base64.RawURLEncoding.DecodeString(md5url)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(sum)
}
