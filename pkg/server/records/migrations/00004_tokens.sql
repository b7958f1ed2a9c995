-- Times are as in 00001. One text serves SQLite and PostgreSQL.

-- +goose Up
CREATE TABLE tokens (
	id        TEXT     NOT NULL PRIMARY KEY,
	name      TEXT     NOT NULL UNIQUE, -- also of revoked ones: the audit log names who it was
	read_only SMALLINT NOT NULL,
	hash      TEXT     NOT NULL UNIQUE, -- SHA-256 of the token, in hex
	created   BIGINT   NOT NULL,
	expires   BIGINT   NOT NULL, -- 0: never
	last_used BIGINT   NOT NULL,
	revoked   BIGINT   NOT NULL
);

CREATE INDEX audit_by_time ON audit (at, id);
CREATE INDEX backups_by_state ON backups (state);

-- +goose Down
DROP INDEX backups_by_state;
DROP INDEX audit_by_time;
DROP TABLE tokens;
