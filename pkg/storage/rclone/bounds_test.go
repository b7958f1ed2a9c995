package rclone

import (
	"errors"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/storage"
)

// TestBounds has rclone print more than is kept: of its words the end stays, and an
// answer that is too long is refused, once.
func TestBounds(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := scripted(t, open(t, b.options("store:")), `
if [ "$1" = deletefile ]; then head -c 1000000 /dev/zero | tr '\0' x >&2; echo " the end" >&2; exit 1; fi
if [ "$1" = lsjson ] && armed it; then exec head -c 70000000 /dev/zero; fi`)
	_, err := s.run(t.Context(), "deletefile")
	if err == nil || len(err.Error()) > stderrTail+100 || !strings.HasSuffix(strings.TrimSpace(err.Error()), "x the end") {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	arm(s, "it")
	_, err = s.List(t.Context(), "")
	if _, temporary := errors.AsType[*storage.TemporaryError](err); err == nil || temporary || !strings.Contains(err.Error(), "more than 67108864 bytes") {
		t.Errorf("error %v", err)
	}
}
