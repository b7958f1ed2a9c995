package dumper

import (
	"testing"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

func TestPostgresCopyOf(t *testing.T) {
	t.Parallel()
	for statement, want := range map[string]string{
		"COPY public.orders (id, note) FROM stdin;\n":              "public.orders",
		`COPY "a b"."c (d." (id) FROM stdin;` + "\n":               `"a b"."c (d."`,
		`COPY "a""b"."." FROM stdin;` + "\n":                       `"a""b"."."`,
		"COPY public.orders_all (id, note) FROM stdin;\n":          "", // another table: the partition's root
		"COPY orders (id, note) FROM stdin;\n":                     "",
		"INSERT INTO public.orders VALUES (1); COPY public.orders": "",
		"": "",
	} {
		e := pgarchive.Entry{Desc: "TABLE DATA", Namespace: "public", Tag: "orders", Copy: pgarchive.Copy{Statement: statement}}
		switch want {
		case `"a b"."c (d."`:
			e.Namespace, e.Tag = "a b", "c (d."
		case `"a""b"."."`:
			e.Namespace, e.Tag = `a"b`, "."
		}
		got := pgCopyOf(e)
		if len(got) > 1 || len(got) == 1 != (want != "") || len(got) == 1 && got[0].named != want {
			t.Errorf("%q: %+v", statement, got)
		}
	}
}
