package dumper

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestContents(t *testing.T) {
	t.Parallel()
	want := Contents{Version: 1, Parts: []string{"data-1", "data"}, Tables: []TableContent{
		{Schema: "public", Table: "a \"b\"\n", Part: "data-1", Rows: 1 << 40, Bytes: 1 << 50},
		{Table: "b", Part: "data", Counted: true},
	}}
	var file bytes.Buffer
	if err := WriteContents(&file, want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadContents(&file); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it came back as %+v, %v", got, err)
	}
	for text, part := range map[string]string{
		"":                                "cannot be read",
		"{}":                              "version 0",
		`{"version":2}`:                   "use a newer one",
		`{"version":1,"parts":["a","a"]}`: "twice",
		`{"version":1,"tables":[{"table":"a","part":"x"}]}`: `a part "x"`,
		`{"version":1}` + strings.Repeat(" ", maxContents):  "more than 64 MiB",
	} {
		if _, err := ReadContents(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%.60s: %v, and not %q", text, err, part)
		}
	}
}

func FuzzContents(f *testing.F) {
	f.Add([]byte(`{"version":1,"parts":["data"],"tables":[{"schema":"s","table":"a","part":"data","rows":1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ReadContents(bytes.NewReader(text))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := WriteContents(&again, c); err != nil {
			t.Fatal(err)
		}
		if back, err := ReadContents(&again); err != nil || !reflect.DeepEqual(back.Tables, c.Tables) {
			t.Errorf("%+v came back as %+v, %v", c, back, err)
		}
	})
}
