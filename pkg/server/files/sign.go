package files

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// pathPrefix begins the paths that a Folder serves.
const pathPrefix = "/files/"

// address is what a signed URL says.
type address struct {
	method  string
	ref     Ref
	part    int    // 0: the whole file
	md5     string // base64; of a part
	size    int64  // of a part; 0: not said
	expires int64
}

var (
	errSignature = errors.New("the address was altered, or is not one of this service")
	errExpired   = errors.New("the address has expired: ask for a new one")
)

// signature binds an address to all that it says.
func (f *Folder) signature(a address) string {
	mac := hmac.New(sha256.New, f.secret)
	fmt.Fprintf(mac, "%s\n%s\n%d\n%s\n%d\n%d", a.method, a.ref, a.part, a.md5, a.size, a.expires)
	return hex.EncodeToString(mac.Sum(nil))
}

func (f *Folder) url(base string, a address) string {
	q := url.Values{"expires": {strconv.FormatInt(a.expires, 10)}, "signature": {f.signature(a)}}
	where := pathPrefix + a.ref.String()
	if a.part > 0 {
		where += "/parts/" + strconv.Itoa(a.part)
		q.Set("md5", base64.RawURLEncoding.EncodeToString([]byte(a.md5)))
		q.Set("size", strconv.FormatInt(a.size, 10))
	}
	return base + where + "?" + q.Encode()
}

// PartURL is an address of this service.
func (f *Folder) PartURL(_ context.Context, base string, r Ref, _ string, p Part, valid time.Duration) (string, error) {
	if _, err := md5Of(p.MD5); err != nil {
		return "", err
	}
	if p.Number < 1 || p.Number > mostParts || p.Size > f.options.MaxPart {
		return "", fmt.Errorf("%w: part %d of %d bytes", ErrParts, p.Number, p.Size)
	}
	a := address{method: http.MethodPut, ref: r, part: p.Number, md5: p.MD5, size: p.Size, expires: f.options.Now().Add(valid).Unix()}
	return f.url(base, a), r.check()
}

// DownloadURL is an address of this service.
func (f *Folder) DownloadURL(_ context.Context, base string, r Ref, valid time.Duration) (string, error) {
	a := address{method: http.MethodGet, ref: r, expires: f.options.Now().Add(valid).Unix()}
	return f.url(base, a), r.check()
}

// verify reads the address of a request, and says whether it was signed here and is
// valid yet.
func (f *Folder) verify(r *http.Request) (address, error) {
	a, err := parse(r.Method, r.URL.Path, r.URL.Query())
	if err != nil {
		return a, errSignature
	}
	got, _ := hex.DecodeString(r.URL.Query().Get("signature"))
	want, _ := hex.DecodeString(f.signature(a))
	if !hmac.Equal(got, want) {
		return a, errSignature
	}
	if f.options.Now().Unix() > a.expires {
		return a, errExpired
	}
	return a, nil
}

// parse takes an address apart. HEAD counts as GET.
func parse(method, where string, q url.Values) (a address, err error) {
	a.method = method
	if method == http.MethodHead {
		a.method = http.MethodGet
	}
	rest, found := strings.CutPrefix(where, pathPrefix)
	elements := strings.Split(rest, "/")
	if !found || len(elements) != 3 && (len(elements) != 5 || elements[3] != "parts") {
		return a, errSignature
	}
	a.ref = Ref{Project: elements[0], Backup: elements[1]}
	if a.ref.Number, err = strconv.Atoi(elements[2]); err != nil {
		return a, err
	}
	if len(elements) == 5 {
		if a.part, err = strconv.Atoi(elements[4]); err != nil || a.part < 1 {
			return a, errSignature
		}
		sum, err := base64.RawURLEncoding.DecodeString(q.Get("md5"))
		if err != nil {
			return a, err
		}
		a.md5 = string(sum)
		if a.size, err = strconv.ParseInt(q.Get("size"), 10, 64); err != nil {
			return a, err
		}
	}
	if a.expires, err = strconv.ParseInt(q.Get("expires"), 10, 64); err != nil {
		return a, err
	}
	return a, a.ref.check()
}
