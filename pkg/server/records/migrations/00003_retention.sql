-- Times are as in 00001, and lengths of time are milliseconds. One text serves SQLite
-- and PostgreSQL.

-- +goose Up
-- Which backups of a project are kept. 0 is no such rule; without any, all are.
ALTER TABLE projects ADD COLUMN keep_last    BIGINT NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN keep_daily   BIGINT NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN keep_weekly  BIGINT NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN keep_monthly BIGINT NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN keep_yearly  BIGINT NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN keep_for     BIGINT NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN keep_minimum BIGINT NOT NULL DEFAULT 86400000;
ALTER TABLE projects ADD COLUMN grace        BIGINT NOT NULL DEFAULT 604800000; -- from deleted to removed

-- What became of a backup's files, whatever its state says of how it ended.
ALTER TABLE backups ADD COLUMN removal       TEXT     NOT NULL DEFAULT ''; -- deleted, removing, removed
ALTER TABLE backups ADD COLUMN kept          SMALLINT NOT NULL DEFAULT 0;  -- whatever the rules say
ALTER TABLE backups ADD COLUMN deleted       BIGINT   NOT NULL DEFAULT 0;
ALTER TABLE backups ADD COLUMN deleted_by    TEXT     NOT NULL DEFAULT '';
ALTER TABLE backups ADD COLUMN deleted_why   TEXT     NOT NULL DEFAULT '';
ALTER TABLE backups ADD COLUMN deleted_how   TEXT     NOT NULL DEFAULT ''; -- rules, hand, last
ALTER TABLE backups ADD COLUMN sweep_at      BIGINT   NOT NULL DEFAULT 0;  -- when to look at its files; 0: never
ALTER TABLE backups ADD COLUMN removed       BIGINT   NOT NULL DEFAULT 0;
ALTER TABLE backups ADD COLUMN removal_error TEXT     NOT NULL DEFAULT ''; -- of the last try
CREATE INDEX backups_to_sweep ON backups (sweep_at) WHERE sweep_at > 0;

-- What ended before there was a sweeper. A day is what a late DONE has.
UPDATE backups SET sweep_at = finished WHERE state = 'failed';
UPDATE backups SET sweep_at = lease_until + 86400000 WHERE state = 'lost';

INSERT INTO watch (id, turn, at, since) VALUES (2, 0, 0, 0); -- turns of who prunes; 1 is of alerts

-- +goose Down
DELETE FROM watch WHERE id = 2;
DROP INDEX backups_to_sweep;
ALTER TABLE backups DROP COLUMN removal_error;
ALTER TABLE backups DROP COLUMN removed;
ALTER TABLE backups DROP COLUMN sweep_at;
ALTER TABLE backups DROP COLUMN deleted_how;
ALTER TABLE backups DROP COLUMN deleted_why;
ALTER TABLE backups DROP COLUMN deleted_by;
ALTER TABLE backups DROP COLUMN deleted;
ALTER TABLE backups DROP COLUMN kept;
ALTER TABLE backups DROP COLUMN removal;
ALTER TABLE projects DROP COLUMN grace;
ALTER TABLE projects DROP COLUMN keep_minimum;
ALTER TABLE projects DROP COLUMN keep_for;
ALTER TABLE projects DROP COLUMN keep_yearly;
ALTER TABLE projects DROP COLUMN keep_monthly;
ALTER TABLE projects DROP COLUMN keep_weekly;
ALTER TABLE projects DROP COLUMN keep_daily;
ALTER TABLE projects DROP COLUMN keep_last;
