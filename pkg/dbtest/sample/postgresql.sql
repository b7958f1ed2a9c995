-- A small database with what dump and restore tools have stumbled over. It is
-- loaded by psql into an empty database, by a superuser.
SET client_min_messages = warning;
CREATE ROLE shop_owner NOLOGIN;
CREATE ROLE "we ird""role" LOGIN;
GRANT "we ird""role" TO shop_owner;

CREATE SCHEMA "we ird""s" AUTHORIZATION shop_owner;
CREATE SCHEMA shop;

-- domains, enums, composite types, a function used by a constraint
CREATE DOMAIN shop.email AS text CHECK (VALUE ~ '^[^@]+@[^@]+$');
CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'happy 😀');
CREATE TYPE shop.address AS (street text, "zip $ code" text);
CREATE FUNCTION shop.positive(n numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n > 0';

-- identity and generated columns, arrays, json, binary, special values
CREATE TABLE shop.customer (
	id bigint GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 7) PRIMARY KEY,
	mail shop.email UNIQUE,
	feeling shop.mood DEFAULT 'ok',
	home shop.address,
	tags text[],
	extra jsonb,
	raw bytea,
	born date,
	seen timestamptz DEFAULT '2026-11-22 21:56:43+01',
	ratio double precision,
	amount numeric(30, 10) CHECK (shop.positive(amount)),
	double_amount numeric(30, 10) GENERATED ALWAYS AS (amount * 2) STORED
);
ALTER TABLE shop.customer OWNER TO shop_owner;
INSERT INTO shop.customer (mail, feeling, home, tags, extra, raw, born, ratio, amount)
SELECT 'user' || i || '@example.org',
	(ARRAY['sad', 'ok', 'happy 😀'])[1 + i % 3]::shop.mood,
	ROW('Straße ' || i, E'tab\there, back\\slash, quote''s, "d"')::shop.address,
	ARRAY['a,b', '{x}', NULL, E'new\nline', '🐘' || i],
	jsonb_build_object('n', i, 'nested', jsonb_build_array(1, NULL, 'é')),
	decode(md5(i::text), 'hex'),
	CASE i % 4 WHEN 0 THEN 'infinity'::date WHEN 1 THEN '0044-03-15 BC'::date ELSE '2000-02-29'::date END,
	CASE i % 5 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' ELSE i / 3.0 END,
	i + 0.0000000001
FROM generate_series(1, 5000) AS i;
CREATE INDEX ON shop.customer USING gin (extra);
CREATE INDEX "an index $ with 😀" ON shop.customer ((lower(mail::text))) WHERE amount > 10;
CREATE STATISTICS shop.customer_stats (dependencies) ON mail, feeling FROM shop.customer;
COMMENT ON COLUMN shop.customer.home IS 'it''s; -- \connect nowhere';

-- odd names
CREATE TABLE "we ird""s"."ta$ble; DROP TABLE x; --" ("se lect" int PRIMARY KEY, "😀 ""col" text, "$1" text DEFAULT $$it's$$);
INSERT INTO "we ird""s"."ta$ble; DROP TABLE x; --" SELECT i, E'\\.\n\\N' || i FROM generate_series(1, 100) i;
CREATE TABLE shop."two
lines" (x int);
INSERT INTO shop."two
lines" VALUES (1);

-- circular foreign keys, deferred
CREATE TABLE shop.hen (id int PRIMARY KEY, egg int NOT NULL);
CREATE TABLE shop.egg (id int PRIMARY KEY, hen int NOT NULL REFERENCES shop.hen DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE shop.hen ADD FOREIGN KEY (egg) REFERENCES shop.egg DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO shop.hen SELECT i, i FROM generate_series(1, 50) i;
INSERT INTO shop.egg SELECT i, i FROM generate_series(1, 50) i;
COMMIT;

-- a trigger that raises: a restore must not fire it
CREATE TABLE shop.ledger (id serial PRIMARY KEY, note text);
INSERT INTO shop.ledger (note) SELECT 'entry ' || i FROM generate_series(1, 1000) i;
CREATE FUNCTION shop.no_change() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'the ledger is closed'; END $f$;
CREATE TRIGGER closed BEFORE INSERT OR UPDATE OR DELETE ON shop.ledger FOR EACH ROW EXECUTE FUNCTION shop.no_change();
ALTER TABLE shop.ledger ENABLE ALWAYS TRIGGER closed;

-- partitions and inheritance
CREATE TABLE shop.event (at timestamptz NOT NULL, kind int, body text) PARTITION BY RANGE (at);
CREATE TABLE shop.event_2025 PARTITION OF shop.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (kind);
CREATE TABLE shop.event_2025_1 PARTITION OF shop.event_2025 FOR VALUES IN (1);
CREATE TABLE shop.event_2025_x PARTITION OF shop.event_2025 DEFAULT;
CREATE TABLE shop.event_2026 PARTITION OF shop.event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO shop.event SELECT '2025-06-01'::timestamptz + i * interval '3 hours', i % 3, repeat('x', i % 300) FROM generate_series(1, 4000) i;
CREATE INDEX ON shop.event (at);
CREATE TABLE shop.animal (name text, legs int);
CREATE TABLE shop.dog (breed text) INHERITS (shop.animal);
INSERT INTO shop.animal VALUES ('snake', 0);
INSERT INTO shop.dog VALUES ('rex', 4, 'terrier');

-- views, and materialised views on materialised views
CREATE VIEW shop.rich AS SELECT id, mail, amount FROM shop.customer WHERE amount > 100 WITH CHECK OPTION;
CREATE MATERIALIZED VIEW shop.mv_base AS SELECT feeling, count(*) AS n, sum(amount) AS total FROM shop.customer GROUP BY feeling;
CREATE MATERIALIZED VIEW shop.mv_top AS SELECT max(total) AS top FROM shop.mv_base;
CREATE UNIQUE INDEX ON shop.mv_base (feeling);
CREATE MATERIALIZED VIEW shop.mv_empty AS SELECT 1 AS one WITH NO DATA;

-- policies, grants, default privileges
ALTER TABLE shop.customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.customer USING (mail::text = current_user);
GRANT SELECT (id, mail) ON shop.customer TO "we ird""role";
GRANT USAGE ON SCHEMA shop TO "we ird""role";
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO shop_owner;

-- large objects
SELECT lo_from_bytea(4242, decode(repeat('00ff10', 200000), 'hex'));
SELECT lo_from_bytea(4243, ''::bytea);
ALTER LARGE OBJECT 4242 OWNER TO shop_owner;
GRANT SELECT ON LARGE OBJECT 4243 TO "we ird""role";
COMMENT ON LARGE OBJECT 4242 IS 'a picture';

-- a row of 15 MB, one line of COPY
CREATE TABLE shop.big (id int PRIMARY KEY, body text);
INSERT INTO shop.big VALUES (1, repeat('0123456789abcde', 1000000)), (2, NULL), (3, '');

-- rules, aggregates, an empty table, a table without columns, sequences in use
CREATE TABLE shop.empty (LIKE shop.customer INCLUDING ALL);
CREATE TABLE shop.nothing ();
CREATE RULE no_delete AS ON DELETE TO shop.big DO INSTEAD NOTHING;
CREATE AGGREGATE shop.concat(text) (SFUNC = textcat, STYPE = text, INITCOND = '');
CREATE SEQUENCE shop.counter AS smallint MINVALUE -5 CYCLE;
SELECT setval('shop.counter', 42, false);
CREATE PROCEDURE shop.touch() LANGUAGE sql AS 'SELECT 1';
CREATE COLLATION shop.german (provider = libc, locale = 'C');
CREATE TABLE shop.collated (x text COLLATE shop.german);
CREATE PUBLICATION everything FOR TABLE shop.hen;
