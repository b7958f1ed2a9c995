package systemd

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// decode reads the journal's native format, as journald does.
func decode(data string) ([]field, error) {
	var fields []field
	for data != "" {
		end := strings.IndexAny(data, "=\n")
		if end <= 0 {
			return nil, fmt.Errorf("no name at %q", data)
		}
		f := field{name: data[:end]}
		mark := data[end]
		data = data[end+1:]
		size := strings.IndexByte(data, '\n')
		if mark == '\n' {
			if len(data) < 8 {
				return nil, fmt.Errorf("%s: no size", f.name)
			}
			size = int(binary.LittleEndian.Uint64([]byte(data[:8])))
			data = data[8:]
		}
		if size < 0 || len(data) <= size || data[size] != '\n' {
			return nil, fmt.Errorf("%s: a value of %d bytes does not end there", f.name, size)
		}
		f.value, data = data[:size], data[size+1:]
		fields = append(fields, f)
	}
	return fields, nil
}

func FuzzEncode(f *testing.F) {
	f.Add("pg_dump: error: no space", 64)
	f.Add("two\nlines\n", 64)
	f.Add("MESSAGE=forged\nPRIORITY=0", 64)
	f.Add("\x00\x1b[31m\xff\u0085", 64)
	f.Add("éééééééééééééééééééé", 21)
	f.Fuzz(func(t *testing.T, value string, limit int) {
		limit = 16 + limit&0xfff
		data := encode([]field{{"DBACKED_A", value}, {"DBACKED_B", "b"}, {"DBACKED_C", value}}, limit)
		if len(data) > entryMax*limit {
			t.Errorf("%d bytes, and %d are allowed", len(data), entryMax*limit)
		}
		fields, err := decode(string(data))
		if err != nil || len(fields) < 2 || fields[0].name != "DBACKED_A" || fields[1] != (field{"DBACKED_B", "b"}) {
			t.Fatalf("%q was read as %q, %v", data, fields, err)
		}
		got := fields[0].value
		if len(got) > limit || !utf8.ValidString(got) || printable(got) != got {
			t.Errorf("%q is written as %q", value, got)
		}
		if utf8.ValidString(value) && printable(value) == value && len(value) <= limit && got != value {
			t.Errorf("%q is changed to %q", value, got)
		}
	})
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"short", 5, "short"},
		{"a long text, longer than that", 20, "a long text… (cut)"},
		{"éééééééééééééé", 20, "ééééé… (cut)"}, // not in the middle of a character
	} {
		if got := cut(c.text, c.limit); got != c.want {
			t.Errorf("%q cut to %d: %q, want %q", c.text, c.limit, got, c.want)
		}
	}
}

func TestFieldName(t *testing.T) {
	for key, want := range map[string]string{
		"instance":     "INSTANCE",
		"backup":       "BACKUP_ID",
		"plain_bytes":  "PLAIN_BYTES",
		"errorVerbose": "ERRORVERBOSE",
		"a-b.c d/é2":   "A_B_C_D__2",
	} {
		if got := fieldName(key); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

// However long the other values are, the short ones are kept.
func TestShortFieldsAreKept(t *testing.T) {
	for n := valueMax - 200; n <= valueMax; n++ {
		var fields []zap.Field
		for _, name := range []string{"a", "b", "c"} {
			fields = append(fields, zap.String(name, strings.Repeat("x", valueMax)))
		}
		fields = append(fields, zap.String("d", strings.Repeat("x", n)), zap.String("instance", "shop"))
		got, err := decode(string(encode(entryFields(zapcore.Entry{Message: "m"}, fields), valueMax)))
		if err != nil || !slices.Contains(got, field{"DBACKED_INSTANCE", "shop"}) {
			t.Fatalf("with one of %d bytes the instance is lost, %v", n, err)
		}
	}
}
