package files

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"time"

	"github.com/dbacked/dbacked/pkg/api"
)

// sumSuffix ends the name of the file beside a part that holds its MD5, in hex.
const sumSuffix = ".md5"

// copySize is what is read and written at a time.
const copySize = 256 << 10

// ServeHTTP answers an address that was signed here.
func (f *Folder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, err := f.verify(r)
	switch {
	case err != nil:
		problem(w, http.StatusForbidden, err.Error())
	case a.part > 0 && r.Method == http.MethodPut:
		f.put(w, r, a)
	case a.part == 0 && a.method == http.MethodGet:
		f.get(w, r, a)
	default:
		problem(w, http.StatusMethodNotAllowed, "this address is for another method")
	}
}

func problem(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Problem{Status: status, Message: message}) // the client went away
}

// put takes a part.
func (f *Folder) put(w http.ResponseWriter, r *http.Request, a address) {
	most := f.options.MaxPart
	if a.size > 0 {
		most = a.size
	}
	switch sent := r.Header.Get("Content-MD5"); {
	case !hmac.Equal([]byte(sent), []byte(a.md5)):
		problem(w, http.StatusForbidden, "Content-MD5 is not the one that the address is for")
		return
	case r.ContentLength > most:
		problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the part has more than %d bytes", most))
		return
	case a.size > 0 && r.ContentLength >= 0 && r.ContentLength != a.size:
		problem(w, http.StatusBadRequest, fmt.Sprintf("the part has %d bytes instead of %d", r.ContentLength, a.size))
		return
	}
	p := Part{Number: a.part, MD5: a.md5}
	if f.options.Allowed != nil {
		if err := f.options.Allowed(r.Context(), a.ref, p); err != nil {
			problem(w, http.StatusConflict, err.Error())
			return
		}
	}
	status, err := f.take(w, r, a, most, &p)
	if err == nil && f.options.Stored != nil {
		status, err = http.StatusConflict, f.options.Stored(r.Context(), a.ref, p)
	}
	if err != nil {
		if status == http.StatusInternalServerError {
			err = errors.New("the part could not be stored")
		}
		problem(w, status, err.Error())
		return
	}
	w.Header().Set("ETag", p.ETag)
	w.WriteHeader(http.StatusOK)
}

// take stores a part, and returns with what status it failed.
func (f *Folder) take(w http.ResponseWriter, r *http.Request, a address, most int64, p *Part) (int, error) {
	folder := a.ref.folder()
	if _, err := f.index(a.ref); err == nil {
		return f.same(a, p)
	}
	if err := f.root.MkdirAll(folder, 0o700); err != nil {
		return http.StatusInternalServerError, err
	}
	temp := tempPrefix + rand.Text()
	sum, status, err := f.receive(w, r, path.Join(folder, temp), most, p)
	if err == nil {
		status, err = http.StatusInternalServerError, f.keep(folder, temp, a, sum)
	}
	if err != nil {
		_ = f.root.Remove(path.Join(folder, temp))
		return status, err
	}
	p.ETag = etagOf(sum)
	return http.StatusOK, nil
}

// same is take where the file is complete: only what is there can be said again.
func (f *Folder) same(a address, p *Part) (int, error) {
	want, err := md5Of(a.md5)
	if err != nil {
		return http.StatusBadRequest, err
	}
	p.ETag = etagOf(want)
	if p.Size, err = f.holds(a.ref, *p); err != nil {
		return http.StatusConflict, ErrConflict
	}
	return http.StatusOK, nil
}

// receive writes the body into a hidden file, and compares it with what was
// announced.
func (f *Folder) receive(w http.ResponseWriter, r *http.Request, temp string, most int64, p *Part) (sum []byte, status int, err error) {
	file, err := f.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, http.StatusInternalServerError, err
	}
	defer file.Close()
	hash := md5.New()
	body := &moving{r: http.MaxBytesReader(w, r.Body, most), deadline: http.NewResponseController(w).SetReadDeadline, stall: f.options.Stall}
	p.Size, err = io.CopyBuffer(io.MultiWriter(file, hash), body, make([]byte, copySize))
	if body.err != nil && body.err != io.EOF {
		return nil, bodyStatus(body.err), fmt.Errorf("the part did not arrive whole: %d bytes came", p.Size)
	}
	if err != nil {
		return nil, http.StatusInternalServerError, err
	}
	sum = hash.Sum(nil)
	if want, err := md5Of(p.MD5); err != nil || !hmac.Equal(sum, want) {
		return nil, http.StatusBadRequest, errors.New("the part does not have the MD5 that was announced")
	}
	return sum, http.StatusInternalServerError, file.Sync()
}

func bodyStatus(err error) int {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}

// keep gives a part its name, and its sum's file: the sum first goes away and last
// comes, so that a part without one is none.
func (f *Folder) keep(folder, temp string, a address, sum []byte) error {
	name := path.Base(a.ref.part(a.part))
	if err := f.root.Remove(path.Join(folder, name+sumSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := f.publish(folder, temp, name, true); err != nil {
		return err
	}
	return f.write(folder, name+sumSuffix, []byte(hex.EncodeToString(sum)), true)
}

// moving is a body whose sender must not stop: the deadline moves with each read.
type moving struct {
	r        io.Reader
	deadline func(time.Time) error
	stall    time.Duration
	err      error // what the last read said
}

func (m *moving) Read(p []byte) (n int, err error) {
	if err := m.deadline(time.Now().Add(m.stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, m.err = m.r.Read(p)
	return n, m.err
}

// get serves a file that is complete.
func (f *Folder) get(w http.ResponseWriter, r *http.Request, a address) {
	x, err := f.index(a.ref)
	if err != nil {
		problem(w, http.StatusNotFound, ErrNotFound.Error())
		return
	}
	file := &joinedParts{folder: f, ref: a.ref, sizes: x.Parts, size: x.stored().Size}
	defer file.close()
	w.Header().Set("ETag", x.ETag)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(&patient{ResponseWriter: w, control: http.NewResponseController(w), stall: f.options.Stall}, r, "", x.Modified, file)
}

// patient is a response whose reader must not stop.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(p.stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.ResponseWriter.Write(b)
}

// joinedParts reads the parts of a file as one.
type joinedParts struct {
	folder *Folder
	ref    Ref
	sizes  []int64
	size   int64
	at     int64

	open   *os.File // part number
	number int
}

func (j *joinedParts) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += j.at
	case io.SeekEnd:
		offset += j.size
	}
	if offset < 0 {
		return 0, errors.New("before the beginning")
	}
	j.at = offset
	return offset, nil
}

func (j *joinedParts) Read(p []byte) (int, error) {
	number, within := j.locate()
	if number == 0 {
		return 0, io.EOF
	}
	if number != j.number {
		j.close()
		file, err := j.folder.root.Open(j.ref.part(number))
		if err != nil {
			return 0, err
		}
		j.open, j.number = file, number
	}
	n, err := j.open.ReadAt(p[:min(int64(len(p)), j.sizes[number-1]-within)], within)
	j.at += int64(n)
	if n > 0 {
		return n, nil
	}
	if err == io.EOF { // the part is shorter than it was
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}

// locate finds the part that holds the current byte, 0 at the end.
func (j *joinedParts) locate() (number int, within int64) {
	rest := j.at
	for i, size := range j.sizes {
		if rest < size {
			return i + 1, rest
		}
		rest -= size
	}
	return 0, 0
}

func (j *joinedParts) close() {
	if j.open != nil {
		_ = j.open.Close() // only read
	}
	j.open, j.number = nil, 0
}
