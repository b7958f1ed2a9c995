package systemd

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"
)

const (
	// valueMax and valueMin are how long one value may be, in bytes: usually, and
	// where the kernel takes no more.
	valueMax = 32 << 10
	valueMin = 1 << 10
	// entryMax is how long, in values of the longest length, an entry may be. The
	// least default of a socket's buffer is 208 KiB.
	entryMax = 4
	// nameMax is how long journald lets a field's name be.
	nameMax = 64
	// messageMax keeps a message readable; the field has the rest.
	messageMax = 4 << 10
)

// field is a field of the journal.
type field struct{ name, value string }

// entryFields returns what the journal keeps of an entry, the most important
// first.
func entryFields(e zapcore.Entry, fields []zapcore.Field) []field {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(m)
	}
	message := e.Message
	if text, ok := m.Fields["error"].(string); ok {
		message += ": " + text
	}
	list := []field{
		{"MESSAGE", cut(oneLine(message), messageMax)},
		{"PRIORITY", strconv.Itoa(int(priority(e.Level)))},
		{"SYSLOG_IDENTIFIER", "dbacked"},
	}
	if event, ok := m.Fields["event"].(string); ok && MessageID(event) != "" {
		list = append(list, field{"MESSAGE_ID", MessageID(event)})
	}
	if e.LoggerName != "" {
		list = append(list, field{"DBACKED_LOGGER", e.LoggerName})
	}
	list = appendMap(list, "DBACKED_", m.Fields)
	if e.Stack != "" {
		list = append(list, field{"DBACKED_STACK", e.Stack})
	}
	return list
}

// appendMap appends zap's fields: the short ones first, since an entry may have
// to be cut.
func appendMap(list []field, prefix string, values map[string]any) []field {
	begin := len(list)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		list = appendValue(list, prefix+fieldName(key), values[key])
	}
	slices.SortStableFunc(list[begin:], func(a, b field) int { return len(a.value)>>10 - len(b.value)>>10 })
	return list
}

func appendValue(list []field, name string, value any) []field {
	switch v := value.(type) {
	case map[string]any:
		return appendMap(list, name+"_", v)
	case []any:
		for _, element := range v {
			list = appendValue(list, name, element)
		}
		return list
	}
	return append(list, field{cutName(name), text(value)})
}

// fieldName is a zap key as journald takes names, and as they are documented.
func fieldName(key string) string {
	if key == "backup" {
		return "BACKUP_ID"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
}

func cutName(name string) string { return name[:min(len(name), nameMax)] }

// text is a value as people read it.
func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case fmt.Stringer: // durations too
		return v.String()
	case nil:
		return ""
	}
	if data, err := json.Marshal(value); err == nil {
		return string(data)
	}
	return fmt.Sprint(value)
}

// encode writes fields in the journal's native format, values of at most limit
// bytes, and leaves out those for which there is no room.
func encode(fields []field, limit int) []byte {
	var b bytes.Buffer
	for _, f := range fields {
		value := cut(printable(cut(f.value, limit)), limit) // what is replaced may grow
		if b.Len()+len(f.name)+len(value)+10 > entryMax*limit {
			continue
		}
		b.WriteString(f.name)
		if strings.Contains(value, "\n") {
			b.WriteByte('\n')
			b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(value))))
		} else {
			b.WriteByte('=')
		}
		b.WriteString(value)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// printable keeps a value from being shown as "[blob data]", and from steering
// a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r // invalid UTF-8 is a RuneError here
	}, text)
}

// oneLine joins lines.
func oneLine(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// cut shortens a text to at most limit bytes, between two characters.
func cut(text string, limit int) string {
	const mark = "… (cut)"
	if len(text) <= limit {
		return text
	}
	end := max(limit-len(mark), 0)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}
