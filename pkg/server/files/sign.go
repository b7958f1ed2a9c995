package files

import (
	"crypto/hmac"
	"crypto/md5"
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

// address is what a signed URL says.
type address struct {
	ref     Ref
	part    int // 0: the whole file, to be read
	expires int64
	md5     string // of a part: base64url without padding
	size    int64  // of a part; -1 where it is not known
}

var errAltered = errors.New("the address was altered, or is not of this server: ask for another")

const pathStart = "/files/"

func (a address) path() string {
	path := pathStart + a.ref.String()
	if a.part != 0 {
		path += "/parts/" + strconv.Itoa(a.part)
	}
	return path
}

func (a address) method() string {
	if a.part != 0 {
		return http.MethodPut
	}
	return http.MethodGet
}

func (a address) sizeText() string {
	if a.size < 0 {
		return "-"
	}
	return strconv.FormatInt(a.size, 10)
}

// signature binds all that the address says. None of it can hold a line's end.
func (a address) signature(secret []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "dbacked files 1\n%s\n%s\n%d\n", a.method(), a.path(), a.expires)
	if a.part != 0 {
		fmt.Fprintf(mac, "%s\n%s\n", a.md5, a.sizeText())
	}
	return mac.Sum(nil)
}

func (a address) url(base string, secret []byte) string {
	query := fmt.Sprintf("?expires=%d", a.expires)
	if a.part != 0 {
		query += "&md5=" + a.md5 + "&size=" + a.sizeText()
	}
	return strings.TrimRight(base, "/") + a.path() + query + "&signature=" + hex.EncodeToString(a.signature(secret))
}

// parsePath reads the path of an address as it was sent, with nothing unescaped.
func parsePath(path string) (a address, ok bool) {
	rest, ok := strings.CutPrefix(path, pathStart)
	if !ok {
		return a, false
	}
	elements := strings.Split(rest, "/")
	if len(elements) != 3 && (len(elements) != 5 || elements[3] != "parts") {
		return a, false
	}
	a.ref = Ref{Project: elements[0], Backup: elements[1]}
	if a.ref.Number, ok = number(elements[2]); !ok || a.ref.check() != nil {
		return a, false
	}
	if len(elements) == 5 {
		if a.part, ok = number(elements[4]); !ok || a.part < 1 || a.part > MaxParts {
			return a, false
		}
	}
	return a, true
}

// number takes a number in one way of writing it only.
func number(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && strconv.Itoa(n) == text
}

// verify reads the query of an address whose path was read, and checks that this
// server signed both.
func (a *address) verify(query string, secret []byte, now time.Time) error {
	values, err := url.ParseQuery(query)
	names := []string{"expires", "signature"}
	if a.part != 0 {
		names = append(names, "md5", "size")
	}
	if err != nil || len(values) != len(names) {
		return errAltered
	}
	for _, name := range names {
		if len(values[name]) != 1 {
			return errAltered
		}
	}
	if !a.read(values) {
		return errAltered
	}
	signature, err := hex.DecodeString(values.Get("signature"))
	if err != nil || !hmac.Equal(signature, a.signature(secret)) {
		return errAltered
	}
	if now.Unix() >= a.expires {
		return fmt.Errorf("the address was good until %s: ask for another", time.Unix(a.expires, 0).UTC().Format(time.RFC3339))
	}
	return nil
}

// read takes each value in one way of writing it only.
func (a *address) read(values url.Values) bool {
	var ok bool
	if a.expires, ok = number64(values.Get("expires")); !ok {
		return false
	}
	if a.part == 0 {
		return true
	}
	a.md5 = values.Get("md5")
	sum, err := base64.RawURLEncoding.Strict().DecodeString(a.md5)
	if err != nil || len(sum) != md5.Size || base64.RawURLEncoding.EncodeToString(sum) != a.md5 {
		return false
	}
	if values.Get("size") == "-" {
		a.size = -1
		return true
	}
	a.size, ok = number64(values.Get("size"))
	return ok
}

func number64(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == text
}
