-- Times are milliseconds since 1970, UTC; 0 is none. One text serves SQLite and
-- PostgreSQL.

-- +goose Up
CREATE TABLE projects (
	id             TEXT     NOT NULL PRIMARY KEY,
	name           TEXT     NOT NULL UNIQUE,
	public_key     TEXT     NOT NULL,
	schedule       TEXT     NOT NULL,
	zone           TEXT     NOT NULL,
	agents_restore SMALLINT NOT NULL,
	created        BIGINT   NOT NULL,
	next_due       BIGINT   NOT NULL,
	active         TEXT     NOT NULL -- the backup that holds the lock, '' if none does
);

CREATE TABLE api_keys (
	id         TEXT   NOT NULL PRIMARY KEY,
	project_id TEXT   NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
	kind       TEXT   NOT NULL,
	label      TEXT   NOT NULL,
	hash       TEXT   NOT NULL UNIQUE, -- SHA-256 of the key, in hex
	created    BIGINT NOT NULL,
	last_used  BIGINT NOT NULL,
	revoked    BIGINT NOT NULL
);
CREATE INDEX api_keys_of_project ON api_keys (project_id);

CREATE TABLE backups (
	project_id       TEXT     NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
	id               TEXT     NOT NULL,
	state            TEXT     NOT NULL, -- open, completing, done, failed, lost
	agent_id         TEXT     NOT NULL,
	agent_version    TEXT     NOT NULL,
	db_type          TEXT     NOT NULL,
	request_id       TEXT     NOT NULL, -- '' of an agent of 2018
	asked            SMALLINT NOT NULL, -- whether a part was asked for
	due              BIGINT   NOT NULL,
	started          BIGINT   NOT NULL,
	finished         BIGINT   NOT NULL,
	lease_until      BIGINT   NOT NULL,
	completing_until BIGINT   NOT NULL, -- when another may complete it
	fingerprint      TEXT     NOT NULL, -- of what DONE said
	hash             TEXT     NOT NULL,
	public_key       TEXT     NOT NULL,
	error            TEXT     NOT NULL,
	size             BIGINT   NOT NULL,
	files            INTEGER  NOT NULL, -- the last one's number: none is used twice
	stage            TEXT     NOT NULL,
	plain_bytes      BIGINT   NOT NULL,
	stored_bytes     BIGINT   NOT NULL,
	PRIMARY KEY (project_id, id)
);
CREATE INDEX backups_by_start ON backups (project_id, started);
CREATE INDEX backups_by_request ON backups (project_id, request_id);

CREATE TABLE files (
	project_id TEXT     NOT NULL,
	backup_id  TEXT     NOT NULL,
	number     INTEGER  NOT NULL, -- from 1
	name       TEXT     NOT NULL,
	upload     TEXT     NOT NULL, -- what a bucket calls the upload
	complete   SMALLINT NOT NULL,
	size       BIGINT   NOT NULL,
	etag       TEXT     NOT NULL,
	modified   BIGINT   NOT NULL,
	PRIMARY KEY (project_id, backup_id, number),
	UNIQUE (project_id, backup_id, name),
	FOREIGN KEY (project_id, backup_id) REFERENCES backups (project_id, id) ON DELETE CASCADE
);
CREATE INDEX files_by_name ON files (project_id, name);

CREATE TABLE parts (
	project_id TEXT    NOT NULL,
	backup_id  TEXT    NOT NULL,
	file       INTEGER NOT NULL,
	number     INTEGER NOT NULL, -- from 1
	md5        TEXT    NOT NULL, -- base64
	size       BIGINT  NOT NULL, -- 0: not said
	etag       TEXT    NOT NULL, -- '' until it is stored, where the service itself stores
	PRIMARY KEY (project_id, backup_id, file, number),
	FOREIGN KEY (project_id, backup_id, file) REFERENCES files (project_id, backup_id, number) ON DELETE CASCADE
);

CREATE TABLE agents (
	project_id TEXT   NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
	agent_id   TEXT   NOT NULL,
	version    TEXT   NOT NULL,
	last_seen  BIGINT NOT NULL,
	PRIMARY KEY (project_id, agent_id)
);

CREATE TABLE audit (
	id         TEXT   NOT NULL PRIMARY KEY, -- sorts by time
	at         BIGINT NOT NULL,
	actor      TEXT   NOT NULL,
	action     TEXT   NOT NULL,
	project_id TEXT   NOT NULL,
	detail     TEXT   NOT NULL
);
CREATE INDEX audit_of_project ON audit (project_id, at);

CREATE TABLE secrets (
	name  TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
);

-- +goose Down
DROP TABLE secrets;
DROP TABLE audit;
DROP TABLE agents;
DROP TABLE parts;
DROP TABLE files;
DROP TABLE backups;
DROP TABLE api_keys;
DROP TABLE projects;
