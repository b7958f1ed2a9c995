package storage

import (
	"crypto/rand"
	"path"
	"strings"
)

// A store that commits by renaming writes each object to a hidden file beside its
// name, ".NAME.tmp-RANDOM", RANDOM being rand.Text: no object has such a name, so it
// is never listed. Whether the run that began it goes on or was killed, nothing in
// it tells. Where one machine alone writes, whoever holds the instance's lock may
// remove it (a [Cleaner]); where others may, only what is old may go, or is known
// to be dead (a [Reclaimer]).
const (
	hiddenMark     = ".tmp-"
	hiddenRandom   = 26 // bytes of rand.Text
	hiddenAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// HiddenName makes a new name of a hidden file for an object.
func HiddenName(name string) string {
	folder, base := path.Split(name)
	return folder + "." + base + hiddenMark + rand.Text()
}

// HiddenObject tells a hidden file of an object whose name begins with prefix, and
// that name.
func HiddenObject(file, prefix string) (name string, ok bool) {
	folder, base := path.Split(file)
	i := strings.LastIndex(base, hiddenMark)
	if i < 2 || base[0] != '.' {
		return "", false
	}
	random := base[i+len(hiddenMark):]
	if len(random) != hiddenRandom || strings.Trim(random, hiddenAlphabet) != "" {
		return "", false
	}
	name = folder + base[1:i]
	return name, strings.HasPrefix(name, prefix)
}
