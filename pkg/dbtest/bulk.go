package dbtest

import (
	"fmt"
	"testing"
)

// bulkBase is how many rows are made one by one. The others are copies of them
// with keys, numbers and identifiers of their own: they lie tens of megabytes
// behind, where no compressor of a stream still remembers the text.
const bulkBase = 150_000

// Words that rows are made of: text as people write it repeats itself, unlike
// random bytes and unlike one character a thousand times.
const bulkWords = `ARRAY['order','invoice','delivery','customer','returned','Paris','Lyon','street','urgent','paid','pending','refund','because','the','of','and','was','not','found','please','call','back','tomorrow','morning','Zürich','naïve','配送','ok']`

// Bulk makes a database of mixed rows: numbers, dates, short strings, prose,
// JSON, identifiers and bytes that do not compress. Its dump has about 275
// bytes a row (PostgreSQL), or 220 (MySQL).
func (s *Server) Bulk(t testing.TB, db string, rows int) {
	t.Helper()
	base := min(rows, bulkBase)
	if s.Engine != "postgresql" {
		s.SQL(t, "", "CREATE DATABASE `"+db+"` CHARACTER SET utf8mb4")
		s.SQL(t, db, fmt.Sprintf(bulkMySQL, base*2/3, base/3))
		for have := base; have < rows; have += base {
			s.SQL(t, db, fmt.Sprintf(bulkMySQLCopy, have, base))
		}
		return
	}
	s.SQL(t, "postgres", `CREATE DATABASE "`+db+`"`)
	s.SQL(t, db, fmt.Sprintf(bulkPostgres, bulkWords, base*2/3, base/3))
	for have := base; have < rows; have += base {
		s.SQL(t, db, fmt.Sprintf(bulkPostgresCopy, have, base))
	}
	s.SQL(t, db, "CREATE INDEX ON orders (customer); CREATE INDEX ON readings (at)")
	s.SQL(t, db, "VACUUM ANALYZE")
}

const bulkPostgres = `
CREATE TABLE orders (id bigint PRIMARY KEY, customer int, placed timestamptz, total numeric(12,2), state text, uid uuid, note text, lines jsonb);
CREATE TABLE readings (id bigint PRIMARY KEY, sensor int, at timestamptz, value double precision, flags int, hash bytea, label varchar(80));
CREATE FUNCTION pg_temp.words(n int, seed bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT string_agg(w[1 + (hashint8(seed * 31 + i) & 2147483647) %% 28], ' ') FROM generate_series(1, n) i, (SELECT %[1]s AS w) x $$;
INSERT INTO orders SELECT i, (i * 7919) %% 200000, '2020-01-01'::timestamptz + i * interval '37 seconds', (i * 104729 %% 1000000) / 100.0,
	(ARRAY['new','paid','sent','done'])[1 + i %% 4], md5(i::text)::uuid, pg_temp.words((10 + i %% 30)::int, i),
	jsonb_build_object('sku', 'A-' || (i * 31 %% 99991), 'qty', i %% 17, 'price', (i * 13 %% 10007) / 100.0, 'ref', md5((i + 1)::text))
	FROM generate_series(1::bigint, %[2]d) i;
INSERT INTO readings SELECT i, i %% 5000, '2024-01-01'::timestamptz + i * interval '1.7 seconds', sin(i) * 1000, i & 255, sha256(i::text::bytea), 'sensor ' || i %% 5000
	FROM generate_series(1::bigint, %[3]d) i;
`

const bulkPostgresCopy = `
INSERT INTO orders SELECT id + %[1]d, customer + 1, placed + interval '50 days', total + 1, state, md5((id + %[1]d)::text)::uuid, note, lines || jsonb_build_object('ref', md5((id + %[1]d + 1)::text))
	FROM orders WHERE id <= %[2]d;
INSERT INTO readings SELECT id + %[1]d, sensor, at + interval '20 days', sin(id + %[1]d) * 1000, flags, sha256((id + %[1]d)::text::bytea), label FROM readings WHERE id <= %[2]d;
`

const bulkMySQL = `
CREATE TABLE orders (id bigint PRIMARY KEY, customer int, placed datetime, total decimal(12,2), state varchar(10), uid char(36), note text, lines_json text, KEY (customer)) ENGINE=InnoDB;
CREATE TABLE readings (id bigint PRIMARY KEY, sensor int, at datetime(3), value double, flags int, hash binary(32), label varchar(80)) ENGINE=InnoDB;
SET unique_checks = 0, foreign_key_checks = 0;
INSERT INTO orders SELECT seq, seq * 7919 %% 200000, '2020-01-01' + INTERVAL seq * 37 SECOND, seq * 104729 %% 1000000 / 100, elt(1 + seq %% 4, 'new', 'paid', 'sent', 'done'),
	concat(left(md5(seq), 8), '-', mid(md5(seq), 9, 4), '-', mid(md5(seq), 13, 4), '-', mid(md5(seq), 17, 4), '-', right(md5(seq), 12)),
	concat_ws(' ', elt(1 + crc32(seq) %% 9, 'order', 'invoice', 'delivery', 'customer', 'returned', 'Paris', 'Lyon', 'street', 'urgent'),
		elt(1 + crc32(seq * 3) %% 9, 'because', 'the', 'of', 'and', 'was', 'not', 'found', 'please', 'call'), crc32(seq * 5),
		elt(1 + crc32(seq * 7) %% 7, 'paid', 'pending', 'refund', 'tomorrow', 'morning', 'Zürich', 'naïve'),
		elt(1 + crc32(seq * 11) %% 9, 'order', 'invoice', 'delivery', 'customer', 'returned', 'Paris', 'Lyon', 'street', 'urgent'),
		elt(1 + crc32(seq * 13) %% 9, 'because', 'the', 'of', 'and', 'was', 'not', 'found', 'please', 'call'),
		elt(1 + crc32(seq * 17) %% 7, 'paid', 'pending', 'refund', 'tomorrow', 'morning', 'Zürich', 'naïve'), crc32(seq * 19)),
	json_object('sku', concat('A-', seq * 31 %% 99991), 'qty', seq %% 17, 'price', seq * 13 %% 10007 / 100, 'ref', md5(seq + 1))
	FROM seq_1_to_%[1]d;
INSERT INTO readings SELECT seq, seq %% 5000, '2024-01-01' + INTERVAL seq SECOND, sin(seq) * 1000, seq & 255, unhex(sha2(seq, 256)), concat('sensor ', seq %% 5000) FROM seq_1_to_%[2]d;
`

const bulkMySQLCopy = `
SET unique_checks = 0, foreign_key_checks = 0;
INSERT INTO orders SELECT id + %[1]d, customer + 1, placed + INTERVAL 50 DAY, total + 1, state,
	insert(uid, 1, 8, left(md5(id + %[1]d), 8)), note, json_set(lines_json, '$.ref', md5(id + %[1]d + 1)) FROM orders WHERE id <= %[2]d;
INSERT INTO readings SELECT id + %[1]d, sensor, at + INTERVAL 20 DAY, sin(id + %[1]d) * 1000, flags, unhex(sha2(id + %[1]d, 256)), label FROM readings WHERE id <= %[2]d;
`
