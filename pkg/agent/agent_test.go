package agent

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dbacked/dbacked/pkg/pipeline"
	"github.com/dbacked/dbacked/pkg/scheduler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errHeld = errors.New("held by another")

// world is what an agent lives in: a store in memory, a systemd that counts.
type world struct {
	t      *testing.T
	logs   *observer.ObservedLogs
	cancel context.CancelFunc
	done   chan error
	agent  *Agent

	mu       sync.Mutex
	stored   []Backup
	places   []PlaceHistory
	away     error
	hang     chan struct{} // if set, the store answers when it is closed
	asked    int
	backup   func(ctx context.Context, p *pipeline.Progress) error // nil: works at once
	lines    []string
	watchdog time.Duration
	alive    int
}

func (w *world) History(context.Context, int) (History, error) {
	w.mu.Lock()
	hang := w.hang
	w.asked++
	w.mu.Unlock()
	if hang != nil {
		<-hang
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return History{Backups: w.stored, Places: w.places}, w.away
}

func (w *world) Status(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, text)
}

func (w *world) Watchdog() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alive++
}

func (w *world) WatchdogInterval() time.Duration { return w.watchdog }

func (w *world) beats() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.alive
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// make is the Backup of the agent's options.
func (w *world) make(ctx context.Context, _ string, p *pipeline.Progress) (Backup, error) {
	w.mu.Lock()
	work := w.backup
	w.mu.Unlock()
	started := time.Now()
	if work != nil {
		if err := work(ctx, p); err != nil {
			return Backup{}, err
		}
	}
	b := Backup{ID: started.Format("20060102T150405Z"), Started: started, Finished: time.Now(), Engine: "postgresql", PlainBytes: 1e9, StoredBytes: 3e8}
	w.set(func() { w.stored = append([]Backup{b}, w.stored...) })
	return b, nil
}

// live starts an agent; the test ends it.
func live(t *testing.T, w *world, change ...func(*Options)) *world {
	t.Helper()
	schedule, err := scheduler.Parse("0 2 * * *", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	w.t, w.logs, w.done = t, logs, make(chan error, 1)
	o := Options{
		Instance: "shop", Version: "1.0", Storage: "file:///backups", Schedule: schedule, Timezone: "UTC",
		Store: w, Backup: w.make, Held: func(err error) bool { return errors.Is(err, errHeld) },
		StageLimit: func(string) time.Duration { return time.Minute }, Notifier: w, Log: zap.New(core),
	}
	for _, c := range change {
		c(&o)
	}
	w.agent = New(o)
	ctx, cancel := context.WithCancel(t.Context())
	w.cancel = cancel
	go func() { w.done <- w.agent.Run(ctx) }()
	synctest.Wait()
	return w
}

// end stops the agent and returns what Run did.
func (w *world) end() error {
	w.cancel()
	return <-w.done
}

func (w *world) events() (all []string) {
	for _, entry := range w.logs.All() {
		if event, ok := entry.ContextMap()["event"].(string); ok {
			all = append(all, event)
		}
	}
	return all
}

func (w *world) line() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lines[len(w.lines)-1]
}

func wants(t *testing.T, what, got string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(got, part) {
			t.Errorf("%s: %q lacks %q", what, got, part)
		}
	}
}

func failed(stage, text string) func(context.Context, *pipeline.Progress) error {
	return func(context.Context, *pipeline.Progress) error {
		return &pipeline.StageError{Stage: stage, Err: errors.New(text)}
	}
}

func TestFirstBackupAtOnceThenDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := live(t, &world{})
		s := w.agent.Status()
		if s.State != StateIdle || !s.Healthy || s.Successes != 1 || s.Newest == nil || len(s.Runs) != 1 || s.Runs[0].Number != 1 {
			t.Fatalf("after the first run: %+v", s)
		}
		wants(t, "line", w.line(), "idle, next backup", "02:00", "(in 2 h)", "1.0 GB, ok")
		time.Sleep(26*time.Hour + time.Minute)
		synctest.Wait()
		if s := w.agent.Status(); s.Successes != 3 || len(s.Runs) != 3 || s.Runs[0].Number != 3 {
			t.Errorf("after a day: %+v", s)
		}
		if err := w.end(); !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestFailureIsToldAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := live(t, &world{backup: failed("dump", "password authentication failed")})
		s := w.agent.Status()
		if s.State != StateRetrying || s.Healthy || s.Failures["dump"] != 1 || s.Next == nil || s.Reason != ReasonRetry {
			t.Fatalf("after a failure: %+v", s)
		}
		wants(t, "problem", s.Problem, "the last backup failed", "dump: password authentication failed")
		wants(t, "line", w.line(), "trying again", "password authentication failed")
		w.set(func() { w.backup = nil })
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := w.agent.Status(); !s.Healthy || s.State != StateIdle || s.Attempts != 2 || s.Successes != 1 {
			t.Errorf("after the retry: %+v", s)
		}
		_ = w.end()
		wants(t, "events", strings.Join(w.events(), " "), "backup-started backup-failed backup-started backup-proved")
	})
}

// TestStuckStage: a stage that shows no progress fails its own run, by name.
func TestStuckStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := live(t, &world{backup: func(ctx context.Context, p *pipeline.Progress) error {
			p.Set(pipeline.Snapshot{Stage: "dump", Plain: 5})
			<-ctx.Done()
			return context.Cause(ctx)
		}})
		time.Sleep(55 * time.Second)
		if s := w.agent.Status(); s.State != StateRunning || s.Running.Stage != "dump" {
			t.Fatalf("within its limit: %+v", s)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		s := w.agent.Status()
		if s.Failures["dump"] != 1 {
			t.Errorf("after its limit: %+v", s)
		}
		wants(t, "problem", s.Problem, "no progress for 1m0s")
		_ = w.end()
	})
}

// TestWatchdog: it hears nothing more when a run hangs that cannot even be ended.
func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := live(t, &world{watchdog: 20 * time.Second})
		time.Sleep(time.Minute)
		if n := w.beats(); n < 6 || n > 7 {
			t.Errorf("%d beats in a minute, one every 10 s", n)
		}
		w.set(func() {
			w.backup = func(context.Context, *pipeline.Progress) error { <-release; return errors.New("at last") }
		})
		if _, err := w.agent.Request(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute) // the limit of a minute, 30 s of grace
		before := w.beats()
		time.Sleep(5 * time.Minute)
		if n := w.beats(); n != before {
			t.Errorf("%d beats for a process that hangs", n-before)
		}
		close(release)
		synctest.Wait()
		time.Sleep(time.Minute)
		if w.beats() == before {
			t.Error("no beat after it went on")
		}
		_ = w.end()
	})
}

func TestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := live(t, &world{})
		w.set(func() {
			w.backup = func(context.Context, *pipeline.Progress) error { <-release; return nil }
		})
		first, err := w.agent.Request()
		if err != nil || first != 2 {
			t.Fatalf("run %d, %v", first, err)
		}
		synctest.Wait()
		if again, err := w.agent.Request(); err != nil || again != first {
			t.Errorf("while it runs: run %d, %v", again, err)
		}
		if s := w.agent.Status(); s.Running == nil || s.Running.Number != 2 || s.Running.Reason != ReasonRequested {
			t.Errorf("%+v", s.Running)
		}
		close(release)
		synctest.Wait()
		if s := w.agent.Status(); s.Attempts != 2 || s.Runs[0].Number != 2 {
			t.Errorf("one run for both: %+v", s)
		}
		_ = w.end()
		if _, err := w.agent.Request(); !errors.Is(err, ErrStopping) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		idle := live(t, &world{})
		idle.agent.Drain()
		if err := <-idle.done; !errors.Is(err, ErrDrained) {
			t.Errorf("idle: %v", err)
		}

		release := make(chan struct{})
		busy := live(t, &world{backup: func(ctx context.Context, _ *pipeline.Progress) error {
			<-release
			return context.Cause(ctx)
		}})
		busy.agent.Drain()
		synctest.Wait()
		if s := busy.agent.Status(); s.State != StateDraining || s.Running == nil {
			t.Errorf("draining: %+v", s)
		}
		if _, err := busy.agent.Request(); !errors.Is(err, ErrStopping) {
			t.Errorf("asked for another: %v", err)
		}
		close(release)
		if err := <-busy.done; !errors.Is(err, ErrDrained) {
			t.Errorf("busy: %v", err)
		}
		if s := busy.agent.Status(); s.Successes != 1 {
			t.Errorf("the run at hand was not finished: %+v", s)
		}
	})
}

// TestStopInMidRun: being told to stop is no failure of the backup.
func TestStopInMidRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := live(t, &world{backup: func(ctx context.Context, p *pipeline.Progress) error {
			p.Set(pipeline.Snapshot{Stage: "dump"})
			<-ctx.Done()
			return &pipeline.StageError{Stage: "dump", Err: context.Cause(ctx)}
		}})
		if err := w.end(); !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		if s := w.agent.Status(); s.State != StateStopping || len(s.Runs) != 0 || len(s.Failures) != 0 {
			t.Errorf("%+v", s)
		}
		wants(t, "events", strings.Join(w.events(), " "), "backup-started backup-cancelled")
	})
}

func TestStoreAwayAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := live(t, &world{away: errors.New("stale file handle")})
		s := w.agent.Status()
		if s.State != StateRetrying || s.Healthy || s.Attempts != 0 {
			t.Fatalf("away: %+v", s)
		}
		wants(t, "problem", s.Problem, "reading the backups in file:///backups", "stale file handle")
		w.set(func() { w.away = nil })
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := w.agent.Status(); !s.Healthy || s.Successes != 1 {
			t.Errorf("back: %+v", s)
		}
		_ = w.end()
		wants(t, "events", strings.Join(w.events(), " "), "waiting", "recovered", "backup-proved")
	})
}

func TestHeldLockIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := Backup{ID: "old", Started: time.Now().Add(-23 * time.Hour), Finished: time.Now().Add(-22 * time.Hour)}
		w := live(t, &world{stored: []Backup{old}, backup: func(context.Context, *pipeline.Progress) error {
			return &pipeline.StageError{Stage: "lock", Err: errHeld}
		}})
		s := w.agent.Status()
		if s.LockWaits != 1 || len(s.Failures) != 0 || strings.Contains(s.Problem, "failed") {
			t.Errorf("%+v", s)
		}
		_ = w.end()
		wants(t, "events", strings.Join(w.events(), " "), "lock-held")
	})
}

// TestAfter: what follows a backup is done after proved ones only; when it fails,
// that is told until it works, and the backup stays good.
func TestAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls int
		trouble := errors.New("a backup is from the future")
		w := live(t, &world{backup: failed("dump", "down")}, func(o *Options) {
			o.After = func(context.Context, Backup) error { calls++; return trouble }
		})
		if calls != 0 {
			t.Error("called after a failed backup")
		}
		w.set(func() { w.backup = nil })
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		s := w.agent.Status()
		if calls != 1 || s.Successes != 1 || s.Healthy || s.State != StateIdle {
			t.Errorf("%d calls, %+v", calls, s)
		}
		wants(t, "problem", s.Problem, "the newest backup is good", "from the future")
		trouble = nil
		if _, err := w.agent.Request(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := w.agent.Status(); calls != 2 || !s.Healthy {
			t.Errorf("%d calls, %+v", calls, s)
		}
		_ = w.end()
		wants(t, "events", strings.Join(w.events(), " "), "backup-proved prune-stopped")
	})
}

// TestStoreThatHangs: the loop goes on, the watchdog is told, and the store is not
// asked twice at once.
func TestStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := live(t, &world{watchdog: 20 * time.Second, hang: release})
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		s := w.agent.Status()
		wants(t, "problem", s.Problem, "reading the backups in file:///backups", "is its file system alive?")
		if w.asked != 1 {
			t.Errorf("asked %d times", w.asked)
		}
		if n := w.beats(); n < 28 {
			t.Errorf("the watchdog was told %d times in 5 minutes", n)
		}
		close(release)
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := w.agent.Status(); !s.Healthy {
			t.Errorf("after it came back: %+v", s)
		}
		_ = w.end()
	})
}

// TestAnotherHostsBackup makes good what failed here.
func TestAnotherHostsBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := live(t, &world{backup: failed("dump", "no route to host")})
		w.set(func() {
			w.stored = []Backup{{ID: "other", Started: time.Now().Add(time.Second), Finished: time.Now().Add(time.Second)}}
		})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := w.agent.Status(); !s.Healthy || s.Attempts != 1 || s.State != StateIdle {
			t.Errorf("%+v", s)
		}
		_ = w.end()
	})
}

// TestOverdue: a backup that nobody made is missed, even when nothing failed.
func TestOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := live(t, &world{})
		w.set(func() { w.stored[0].Started = time.Now().Add(-50 * time.Hour) })
		if _, err := w.agent.newest(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := w.agent.Status()
		if s.Healthy {
			t.Errorf("healthy with a backup of two days ago: %+v", s)
		}
		wants(t, "problem", s.Problem, "the newest backup is of", "and one was due at")
		_ = w.end()
	})
}

// TestClockThatWasWrong: a backup of the future must not end all backups.
func TestClockThatWasWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		future := Backup{ID: "future", Started: time.Now().AddDate(4, 0, 0), Finished: time.Now().AddDate(4, 0, 0)}
		w := live(t, &world{stored: []Backup{future}})
		if s := w.agent.Status(); s.Successes != 1 {
			t.Errorf("no backup was made: %+v", s)
		}
		_ = w.end()
	})
}

func TestRunsAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "runs.json")
		remember := func(o *Options) { o.RunsFile = file }
		w := live(t, &world{backup: failed("upload", "no space left")}, remember)
		_ = w.end()
		again := live(t, &world{}, remember)
		s := again.agent.Status()
		if len(s.Runs) != 2 || s.Runs[0].Backup == "" || s.Runs[1].Stage != "upload" || s.Runs[1].Number != 0 {
			t.Errorf("%+v", s.Runs)
		}
		_ = again.end()
	})
}
