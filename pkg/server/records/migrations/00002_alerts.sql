-- Times are as in 00001. One text serves SQLite and PostgreSQL.

-- +goose Up
CREATE TABLE targets (
	id         TEXT   NOT NULL PRIMARY KEY,
	project_id TEXT   REFERENCES projects (id) ON DELETE CASCADE, -- NULL for all projects
	kind       TEXT   NOT NULL, -- email, webhook, shoutrrr
	config     TEXT   NOT NULL, -- JSON, with what is secret of it
	created    BIGINT NOT NULL,
	held_until BIGINT NOT NULL -- it did not answer: until then it is told nothing
);

CREATE TABLE alerts (
	id         TEXT   NOT NULL PRIMARY KEY,
	project_id TEXT   NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
	kind       TEXT   NOT NULL,
	subject    TEXT   NOT NULL, -- tells alerts of one kind apart
	text       TEXT   NOT NULL,
	opened     BIGINT NOT NULL,
	closed     BIGINT NOT NULL -- 0 while it is open
);
CREATE UNIQUE INDEX alerts_open ON alerts (project_id, kind, subject) WHERE closed = 0;
CREATE INDEX alerts_by_end ON alerts (closed);

CREATE TABLE deliveries (
	alert_id      TEXT     NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
	target_id     TEXT     NOT NULL REFERENCES targets (id) ON DELETE CASCADE,
	event         TEXT     NOT NULL, -- opened, recovered
	claimed_until BIGINT   NOT NULL, -- when it may be tried
	tries         INTEGER  NOT NULL,
	done_at       BIGINT   NOT NULL, -- 0 until it was told, or given up
	gave_up       SMALLINT NOT NULL,
	error         TEXT     NOT NULL, -- of the last try
	PRIMARY KEY (alert_id, target_id, event)
);
CREATE INDEX deliveries_pending ON deliveries (claimed_until) WHERE done_at = 0;
CREATE INDEX deliveries_of_target ON deliveries (target_id);

CREATE TABLE watch (
	id    INTEGER NOT NULL PRIMARY KEY, -- 1: there is one row
	turn  BIGINT  NOT NULL,             -- counts
	at    BIGINT  NOT NULL,             -- when it began
	since BIGINT  NOT NULL              -- when turns began again after a pause; 0: there was none
);
INSERT INTO watch (id, turn, at, since) VALUES (1, 0, 0, 0);

CREATE INDEX backups_by_end ON backups (project_id, finished);

-- +goose Down
DROP INDEX backups_by_end;
DROP TABLE watch;
DROP TABLE deliveries;
DROP TABLE alerts;
DROP TABLE targets;
