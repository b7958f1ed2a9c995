package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

var sampleNow = time.Date(2026, 11, 24, 15, 40, 0, 0, time.UTC)

const hostile = `<script>alert(1)</script> "&' </pre></style><img src=x onerror=alert(2)> {{.}} javascript:alert(3)`

// longError is one as pg_dump and a store write them.
var longError = "dump: pg_dump failed (exit status 1): pg_dump: error: query failed: ERROR:  permission denied for table invoices\n" +
	"pg_dump: detail: Query was: LOCK TABLE public.invoices IN ACCESS SHARE MODE\n" +
	"to mend it: GRANT SELECT ON ALL TABLES IN SCHEMA public TO dbacked; ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO dbacked\n" +
	strings.Repeat("pg_dump: last built-in OID is 16383; reading extensions, identifying extension members, reading schemas ", 12)

// samples are the states that an agent can be in.
func samples() map[string]Status {
	idle := sampleIdle()
	all := map[string]Status{"idle": idle}

	s := idle
	s.Running = &Running{Number: 3, Reason: ReasonDue, Started: sampleNow.Add(-94 * time.Second), Stage: "dump", PlainBytes: 3_400_000_000, StoredBytes: 961_000_000, BytesPerSecond: 41_200_000, SnapshotSeconds: 93, BlockedSessions: 2}
	s.BlockedSessions = 5
	s.State, s.Next = StateRunning, nil
	all["running"] = s

	s = idle
	s.Runs = slices.Clone(idle.Runs)
	s.Runs = slices.Insert(s.Runs, 0, Run{Number: 4, Reason: ReasonRetry, Started: sampleNow.Add(-14 * time.Minute), Finished: sampleNow.Add(-13 * time.Minute), Stage: "dump", Error: longError})[:maxRuns]
	s.State, s.Healthy, s.Problem, s.Reason = StateRetrying, false, "the last backup failed: "+longError, ReasonRetry
	s.Next = new(sampleNow.Add(11 * time.Minute))
	s.Failures = map[string]uint64{"dump": 2, "upload": 1}
	all["failed"] = s

	s = idle
	s.State, s.Healthy, s.Problem = StateStarting, false, "the backups in "+idle.Storage+" have not been read yet"
	s.Newest, s.Runs, s.Next, s.Reason = nil, nil, nil, ""
	all["starting"] = s

	s.State, s.Problem = StateIdle, "there is no backup yet"
	s.Next, s.Reason = new(sampleNow.Add(9*time.Hour)), ReasonDue
	all["none"] = s

	s = idle
	s.State, s.Healthy = StateRetrying, false
	s.Problem = "reading the backups in file:///srv/nas/backups: open /srv/nas/backups: no such file or directory: is it mounted? (RequiresMountsFor= in a drop-in waits for it)"
	all["away"] = s

	s = idle
	s.Healthy, s.Problem = false, "the newest backup is of 2026-11-21 02:00:11, and one was due at 2026-11-24 02:00:00"
	all["overdue"] = s

	all["partial"] = samplePartial(idle)

	s = idle
	s.Storage, s.Service, s.Schedule, s.Timezone, s.Reason = "https://api.example.org", true, "the service's", "", ReasonAsk
	s.Newest = &Backup{ID: "8d1f", Started: idle.Newest.Finished, Finished: idle.Newest.Finished, Engine: "postgresql", StoredBytes: idle.Newest.StoredBytes, Unproved: true}
	s.Runs = []Run{{Started: s.Newest.Started, Finished: s.Newest.Finished, Backup: s.Newest.ID, StoredBytes: s.Newest.StoredBytes}}
	all["listed"] = s

	s = idle
	s.State, s.Next = StateStopping, nil
	all["stopping"] = s

	s = all["running"]
	s.State = StateDraining
	all["draining"] = s

	all["hostile"] = sampleHostile(idle)

	s = idle
	s.Storage, s.Service, s.Schedule, s.Timezone, s.Reason = "https://backups.example.org", true, "@daily", "UTC", ReasonDue
	all["service"] = s
	s.State, s.Healthy, s.Reason, s.Next = StateRetrying, false, ReasonAsk, new(sampleNow.Add(4*time.Minute))
	s.Problem = "ask for a backup of https://backups.example.org: dial tcp 192.0.2.7:443: connect: connection refused"
	all["asking"] = s
	return all
}

func sampleIdle() Status {
	s := Status{
		Version: StatusVersion, Instance: "shop", AgentVersion: "1.4.0", PID: 4711, Since: sampleNow.Add(-98 * time.Hour),
		State: StateIdle, Healthy: true, Storage: "file:///var/lib/dbacked", Schedule: "0 2 * * *", Timezone: "Europe/Paris",
		Next: new(time.Date(2026, 11, 25, 1, 0, 0, 0, time.UTC)), Reason: ReasonDue,
		Attempts: 6, Successes: 4, Failures: map[string]uint64{"dump": 1}, LockWaits: 1,
	}
	for i := range maxRuns {
		started := time.Date(2026, 11, 24, 1, 0, 11, 0, time.UTC).Add(-time.Duration(i) * 24 * time.Hour)
		took := 128*time.Second - time.Duration(i)*1300*time.Millisecond + time.Duration(i*i%7)*4*time.Second
		r := Run{
			Started: started, Finished: started.Add(took), Backup: started.Format("20060102T150405Z") + fmt.Sprintf("-%06x", 7919*(i+3)),
			PlainBytes: 5_100_000_000 - int64(i)*60_000_000, StoredBytes: 1_340_000_000 - int64(i)*17_000_000,
		}
		switch i {
		case 4:
			r.Stage, r.Error = "dump", "dump: no byte from pg_dump for 10m0s: look at the database, its host and the storage; DBACKED_STALL_TIMEOUT raises the limit"
			r.Backup, r.PlainBytes, r.StoredBytes, r.Finished = "", 812_000_000, 0, started.Add(236*time.Second)
		case 11:
			r.Stage, r.Error = "lock", "lock: another run of shop holds the lock, since 2026-11-13 01:00:02 on db1 (process 812)"
			r.Backup, r.PlainBytes, r.StoredBytes, r.Finished = "", 0, 0, started.Add(300*time.Millisecond)
		}
		s.Runs = append(s.Runs, r)
	}
	newest := s.Runs[0]
	s.Newest = &Backup{
		ID: newest.Backup, Started: newest.Started, Finished: newest.Finished, Engine: "postgresql", ServerVersion: "15.18 (Debian 15.18-0+deb12u1)",
		ToolVersion: "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Database: "shop", PlainBytes: newest.PlainBytes, StoredBytes: newest.StoredBytes,
	}
	return s
}

// samplePartial has a last backup that is in one of two places alone.
func samplePartial(s Status) Status {
	const folder, bucket, why = "file:///var/lib/dbacked", "s3://backups/shop", "write part 3 of s3://backups/shop/0001.dbacked: connection refused (tried 8 times)"
	s.Runs = slices.Clone(s.Runs)
	r := &s.Runs[0]
	r.Partial, r.Error = true, "backup "+r.Backup+" is in "+folder+", but not in every place; "+bucket+": "+why
	r.Places = []RunPlace{{Storage: folder}, {Storage: bucket, Error: why}}
	newest, older := *s.Newest, *s.Newest
	newest.Places = []string{folder}
	older.Started = older.Started.Add(-24 * time.Hour)
	s.Newest, s.Storage = &newest, folder+","+bucket
	s.Places = []Place{{Storage: folder, Newest: &newest}, {Storage: bucket, Newest: &older, Error: "connection refused"}}
	s.State, s.Healthy, s.Problem, s.Reason, s.Partials = StateRetrying, false, "the last backup is partial: "+r.Error, ReasonRetry, 1
	return s
}

// sampleHostile has markup wherever somebody else chooses the words.
func sampleHostile(s Status) Status {
	s.Instance, s.AgentVersion, s.Storage, s.Schedule, s.Timezone = hostile, hostile, hostile, hostile, hostile
	s.State, s.Healthy, s.Problem, s.Reason = StateRetrying, false, hostile+strings.Repeat("W", 400), hostile
	s.Failures = map[string]uint64{hostile: 1, "dump\n\"": 2}
	newest := *s.Newest
	newest.ID, newest.Engine, newest.ServerVersion, newest.ToolVersion, newest.Database = hostile, hostile, hostile, hostile, hostile
	s.Newest = &newest
	s.Runs = []Run{
		{Started: sampleNow.Add(-time.Hour), Finished: sampleNow.Add(-2 * time.Hour), Stage: hostile, Error: hostile + "\x00\x1b[31m\xff", PlainBytes: -5},
		{Started: sampleNow.Add(-26 * time.Hour), Finished: sampleNow.Add(-25 * time.Hour), Backup: hostile, PlainBytes: 1 << 62, StoredBytes: 1 << 62},
	}
	s.Running = &Running{Started: sampleNow.Add(time.Hour), Stage: hostile, PlainBytes: 1 << 62, StoredBytes: -1, BytesPerSecond: -1}
	return s
}
