package dbtest

import (
	"fmt"
	"testing"
)

// bulkBase is how many rows are made one by one. The others are copies of them
// with keys, numbers and identifiers of their own: they lie tens of megabytes
// behind, where no compressor of a stream still remembers the text.
const bulkBase = 200_000

// Bulk makes a database of mixed rows, a quarter each: payments (numbers and
// dates), readings (floating point, hashes), visits (addresses, URLs, user
// agents) and orders (identifiers, prose, JSON). Its dump has about 144 bytes a
// row (PostgreSQL), or 150 (MySQL).
func (s *Server) Bulk(t testing.TB, db string, rows int) {
	t.Helper()
	base := min(rows, bulkBase) / 4
	schema, copies := bulkMySQL, bulkMySQLCopy
	if s.Engine == "postgresql" {
		schema, copies = bulkPostgres, bulkPostgresCopy
		s.SQL(t, "postgres", `CREATE DATABASE "`+db+`"`)
	} else {
		s.SQL(t, "", "CREATE DATABASE `"+db+"` CHARACTER SET utf8mb4")
	}
	s.SQL(t, db, fmt.Sprintf(schema, base))
	for have := base; have < rows/4; have += base {
		s.SQL(t, db, fmt.Sprintf(copies, have, base))
	}
	if s.Engine == "postgresql" {
		s.SQL(t, db, "CREATE INDEX ON orders (customer); CREATE INDEX ON readings (at); CREATE INDEX ON visits (path)")
		s.SQL(t, db, "VACUUM ANALYZE")
	}
}

const bulkPostgres = `
CREATE TABLE payments (id bigint PRIMARY KEY, account int, at timestamptz, amount numeric(12,2), currency char(3), status text, retries smallint, booked date, batch bigint);
CREATE TABLE readings (id bigint PRIMARY KEY, sensor int, at timestamptz, value double precision, flags int, hash bytea, label varchar(80));
CREATE TABLE visits (id bigint PRIMARY KEY, at timestamptz, ip inet, method text, path text, status int, bytes int, agent text);
CREATE TABLE orders (id bigint PRIMARY KEY, customer int, placed timestamptz, total numeric(12,2), state text, uid uuid, note text, lines jsonb);
CREATE FUNCTION pg_temp.words(n int, seed bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT string_agg(w[1 + (hashint8(seed * 31 + i) & 2147483647) %% 28], ' ') FROM generate_series(1, n) i,
	(SELECT ARRAY['order','invoice','delivery','customer','returned','Paris','Lyon','street','urgent','paid','pending','refund','because','the',
		'of','and','was','not','found','please','call','back','tomorrow','morning','Zürich','naïve','配送','ok'] AS w) x $$;
INSERT INTO payments SELECT i, (i * 7919) %% 200000, '2020-01-01'::timestamptz + i * interval '37 seconds', (i * 104729 %% 1000000) / 100.0::numeric(12,2),
	(ARRAY['EUR','EUR','USD','CHF'])[1 + i %% 4], (ARRAY['booked','booked','pending','refused'])[1 + i %% 4], i %% 3, '2020-01-01'::date + (i / 2000)::int, i / 500
	FROM generate_series(1::bigint, %[1]d) i;
INSERT INTO readings SELECT i, i %% 5000, '2024-01-01'::timestamptz + i * interval '1.7 seconds', sin(i) * 1000, i & 255, sha256(i::text::bytea), 'sensor ' || i %% 5000
	FROM generate_series(1::bigint, %[1]d) i;
INSERT INTO visits SELECT i, '2025-01-01'::timestamptz + i * interval '0.9 seconds', '10.0.0.0'::inet + (hashint8(i / 7) & 16777215), (ARRAY['GET','GET','GET','POST'])[1 + i %% 4],
	'/shop/' || (ARRAY['item','item','cart','search','account'])[1 + i %% 5] || '/' || (hashint8(i) & 65535), (ARRAY[200,200,200,200,304,404])[1 + i %% 6], hashint8(i) & 131071,
	(ARRAY['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0','Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15',
		'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/138.0','curl/8.14.1'])[1 + (hashint8(i / 7) & 3)]
	FROM generate_series(1::bigint, %[1]d) i;
INSERT INTO orders SELECT i, (i * 7919) %% 200000, '2020-01-01'::timestamptz + i * interval '37 seconds', (i * 104729 %% 1000000) / 100.0,
	(ARRAY['new','paid','sent','done'])[1 + i %% 4], md5(i::text)::uuid, pg_temp.words((5 + i %% 12)::int, i),
	jsonb_build_object('sku', 'A-' || (i * 31 %% 99991), 'qty', i %% 17, 'price', i * 13 %% 10007, 'gift', i %% 9 = 0)
	FROM generate_series(1::bigint, %[1]d) i;
`

const bulkPostgresCopy = `
INSERT INTO payments SELECT id + %[1]d, account + 1, at + interval '40 days', amount + 1, currency, status, retries, booked + 40, batch + %[1]d / 500 FROM payments WHERE id <= %[2]d;
INSERT INTO readings SELECT id + %[1]d, sensor, at + interval '20 days', sin(id + %[1]d) * 1000, flags, sha256((id + %[1]d)::text::bytea), label FROM readings WHERE id <= %[2]d;
INSERT INTO visits SELECT id + %[1]d, at + interval '10 hours', ip + 1, method, path, status, bytes + 1, agent FROM visits WHERE id <= %[2]d;
INSERT INTO orders SELECT id + %[1]d, customer + 1, placed + interval '50 days', total + 1, state, md5((id + %[1]d)::text)::uuid, note, lines FROM orders WHERE id <= %[2]d;
`

const bulkMySQL = `
CREATE TABLE payments (id bigint PRIMARY KEY, account int, at datetime, amount decimal(12,2), currency char(3), status varchar(10), retries smallint, booked date, batch bigint) ENGINE=InnoDB;
CREATE TABLE readings (id bigint PRIMARY KEY, sensor int, at datetime(3), value double, flags int, hash binary(32), label varchar(80)) ENGINE=InnoDB;
CREATE TABLE visits (id bigint PRIMARY KEY, at datetime, ip varchar(40), method varchar(8), path varchar(200), status int, bytes int, agent varchar(200), KEY (path)) ENGINE=InnoDB;
CREATE TABLE orders (id bigint PRIMARY KEY, customer int, placed datetime, total decimal(12,2), state varchar(10), uid char(36), note text, lines_json text, KEY (customer)) ENGINE=InnoDB;
SET unique_checks = 0, foreign_key_checks = 0;
INSERT INTO payments SELECT seq, seq * 7919 %% 200000, '2020-01-01' + INTERVAL seq * 37 SECOND, seq * 104729 %% 1000000 / 100, elt(1 + seq %% 4, 'EUR', 'EUR', 'USD', 'CHF'),
	elt(1 + seq %% 4, 'booked', 'booked', 'pending', 'refused'), seq %% 3, '2020-01-01' + INTERVAL seq DIV 2000 DAY, seq DIV 500 FROM seq_1_to_%[1]d;
INSERT INTO readings SELECT seq, seq %% 5000, '2024-01-01' + INTERVAL seq SECOND, sin(seq) * 1000, seq & 255, unhex(sha2(seq, 256)), concat('sensor ', seq %% 5000) FROM seq_1_to_%[1]d;
INSERT INTO visits SELECT seq, '2025-01-01' + INTERVAL seq SECOND, inet_ntoa(167772160 + (crc32(seq DIV 7) & 16777215)), elt(1 + seq %% 4, 'GET', 'GET', 'GET', 'POST'),
	concat('/shop/', elt(1 + seq %% 5, 'item', 'item', 'cart', 'search', 'account'), '/', crc32(seq) & 65535), elt(1 + seq %% 6, 200, 200, 200, 200, 304, 404), crc32(seq) & 131071,
	elt(1 + (crc32(seq DIV 7) & 3), 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15',
		'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/138.0', 'curl/8.14.1') FROM seq_1_to_%[1]d;
INSERT INTO orders SELECT seq, seq * 7919 %% 200000, '2020-01-01' + INTERVAL seq * 37 SECOND, seq * 104729 %% 1000000 / 100, elt(1 + seq %% 4, 'new', 'paid', 'sent', 'done'),
	concat(left(md5(seq), 8), '-', mid(md5(seq), 9, 4), '-', mid(md5(seq), 13, 4), '-', mid(md5(seq), 17, 4), '-', right(md5(seq), 12)),
	concat_ws(' ', elt(1 + crc32(seq) %% 9, 'order', 'invoice', 'delivery', 'customer', 'returned', 'Paris', 'Lyon', 'street', 'urgent'),
		elt(1 + crc32(seq * 3) %% 9, 'because', 'the', 'of', 'and', 'was', 'not', 'found', 'please', 'call'), crc32(seq * 5),
		elt(1 + crc32(seq * 7) %% 7, 'paid', 'pending', 'refund', 'tomorrow', 'morning', 'Zürich', 'naïve')),
	json_object('sku', concat('A-', seq * 31 %% 99991), 'qty', seq %% 17, 'price', seq * 13 %% 10007, 'gift', seq %% 9 = 0)
	FROM seq_1_to_%[1]d;
`

const bulkMySQLCopy = `
SET unique_checks = 0, foreign_key_checks = 0;
INSERT INTO payments SELECT id + %[1]d, account + 1, at + INTERVAL 40 DAY, amount + 1, currency, status, retries, booked + INTERVAL 40 DAY, batch + %[1]d DIV 500 FROM payments WHERE id <= %[2]d;
INSERT INTO readings SELECT id + %[1]d, sensor, at + INTERVAL 20 DAY, sin(id + %[1]d) * 1000, flags, unhex(sha2(id + %[1]d, 256)), label FROM readings WHERE id <= %[2]d;
INSERT INTO visits SELECT id + %[1]d, at + INTERVAL 10 HOUR, ip, method, path, status, bytes + 1, agent FROM visits WHERE id <= %[2]d;
INSERT INTO orders SELECT id + %[1]d, customer + 1, placed + INTERVAL 50 DAY, total + 1, state, insert(uid, 1, 8, left(md5(id + %[1]d), 8)), note, lines_json FROM orders WHERE id <= %[2]d;
`
