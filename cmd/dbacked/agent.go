package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/scheduler"
	"github.com/dbacked/dbacked/pkg/systemd"
)

type agentCommand struct {
	Name       string `arg:"" optional:"" help:"The instance, as in /etc/dbacked/NAME.env."`
	Daemon     bool   `name:"daemon" help:"Detach from the terminal and go on in the background; refused under systemd, which does that itself."`
	DaemonName string `name:"daemon-name" placeholder:"NAME" help:"With --daemon: a name of its own for this daemon. One of each name runs at a time."`
	Detached   bool   `name:"detached" hidden:"" help:"This is the process that --daemon left behind."`

	config.CommonFlags
	config.DatabaseFlags
	config.StorageFlags
	config.SealFlags
	config.TrustFlags
	config.TimeoutFlags
	config.JobsFlags
	config.SnapshotFlags
	config.ScheduleFlags
	config.KeepFlags
}

// Help shows examples.
func (*agentCommand) Help() string {
	return `A backup is made whenever one is due: what is due follows from the newest proved backup in the storage,
so a night that was missed is caught up. Under systemd: systemctl enable --now dbacked@NAME.

Signals: TERM stops (a run at hand is ended, nothing of it stays); USR1 backs up now; USR2 finishes the run
at hand and exits with status 75; HUP checks again (what is configured was read at the start: restart for that).

Examples:
  dbacked agent shop
  dbacked agent shop --schedule "30 2 * * *" --timezone Europe/Paris --listen 127.0.0.1:9480
  dbacked start-agent --daemon --daemon-name shop shop`
}

func (k *agentCommand) flags() config.Flags {
	return config.Flags{
		CommonFlags: k.CommonFlags, DatabaseFlags: k.DatabaseFlags, StorageFlags: k.StorageFlags, SealFlags: k.SealFlags,
		TrustFlags: k.TrustFlags, TimeoutFlags: k.TimeoutFlags, JobsFlags: k.JobsFlags, SnapshotFlags: k.SnapshotFlags,
		ScheduleFlags: k.ScheduleFlags, KeepFlags: k.KeepFlags,
	}
}

const agentNeeds = config.NeedDatabase | config.NeedPublicKey | config.NeedStorage | config.NeedSchedule | config.WantRetention

func (k *agentCommand) Run(ctx context.Context, a *app) error {
	debug.SetGCPercent(idleGC)
	notifier := systemd.NewNotifier(a.environ)
	if k.Daemon {
		return k.detach(a, notifier.Active())
	}
	log, err := a.agentLogger()
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	err = k.serve(ctx, a, log, notifier)
	if err != nil && !errors.Is(err, agent.ErrDrained) {
		a.reported = a.logged // the journal has it: not a second time
		event := systemd.EventAgentFailed
		if exitStatus(err) == exitConfig {
			event = systemd.EventConfigurationInvalid
		}
		log.Error("the agent ends", zap.String("event", event), zap.String("instance", k.name()), zap.Error(err))
		notifier.Status(err.Error())
		notifier.Errno(exitStatus(err))
	}
	return err
}

// serve reads the configuration and runs the agent until it is told to stop.
func (k *agentCommand) serve(ctx context.Context, a *app, log *zap.Logger, notifier *systemd.Notifier) error {
	c, err := a.loader().Load(k.name(), k.flags(), a.environ, agentNeeds)
	if err != nil {
		return err
	}
	if err := a.settle(c); err != nil { // outside of systemd, root may have started it
		return err
	}
	log = log.With(zap.String("instance", c.Instance))
	for _, w := range c.Warnings {
		log.Warn(w)
	}
	life, err := a.newAgent(c, log, notifier)
	if err != nil {
		return err
	}
	release, err := locker.NewFile(filepath.Join(c.StateDirectory, k.lockName())).Hold()
	if errors.Is(err, locker.ErrHeld) {
		return fmt.Errorf("an agent of this name runs already: %w", err)
	}
	if err != nil {
		return err
	}
	defer release()
	closeListeners, err := listen(c, life, checker(c), log)
	if err != nil {
		return err
	}
	defer closeListeners()

	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer handleSignals(ctx, life, func() { recheck(ctx, c, log) })()
	if k.Detached {
		announce()
	}
	log.Info("agent ready", zap.String("event", systemd.EventAgentReady), zap.String("version", version),
		zap.String("schedule", dueText(c)), zap.String("storage", c.Places.String()))
	notifier.Ready() // after the log's line, so that whoever waited for it finds it there
	told := make(chan struct{})
	tell := context.AfterFunc(ctx, func() {
		defer close(told)
		notifier.Stopping()
		notifier.ExtendTimeout(c.Timeouts.Stop + stopReserve)
		log.Info("agent stopping", zap.String("event", systemd.EventAgentStopping))
	})
	defer func() {
		if !tell() {
			<-told // an idle agent ends at once: not before it has said so
		}
	}()
	err = life.Run(ctx)
	if errors.Is(err, context.Canceled) {
		return nil // it was told to
	}
	return err
}

// stopReserve is what a stop may take beside the wait for the tools.
const stopReserve = 15 * time.Second

// name is the instance: what was given, or the daemon's name.
func (k *agentCommand) name() string {
	if k.Name == "" {
		return k.DaemonName
	}
	return k.Name
}

func (k *agentCommand) lockName() string {
	if k.DaemonName != "" {
		return "agent-" + k.DaemonName + ".lock"
	}
	return "agent.lock"
}

// newAgent wires an agent.
func (a *app) newAgent(c *config.Config, log *zap.Logger, notifier *systemd.Notifier) (*agent.Agent, error) {
	if _, err := a.newSealing(c, openDatabase(c, log)); err != nil {
		return nil, err
	}
	if _, err := trust(c); err != nil {
		return nil, err
	}
	o := agent.Options{
		Instance: c.Instance, Version: version, Storage: c.Places.String(),
		Store: agentStore{config: c}, Held: is(locker.ErrHeld), Yielded: is(dumper.ErrYield),
		StageLimit: stageLimit(c.Timeouts),
		Notifier:   notifier, RunsFile: filepath.Join(c.StateDirectory, "runs.json"), Log: log,
	}
	if c.Agent.PingURL.IsSet() {
		o.Ping = agent.HTTPPinger(c.Agent.PingURL.Reveal())
	}
	if c.Storage.IsService() {
		p := &polling{app: a, config: c, log: log}
		o.Store = agentStore{config: c, manifests: new(manifests)}
		o.Service, o.Backup = &agent.Service{Every: c.Storage.Service.Poll, Ask: p.Ask}, p.Backup
		return agent.New(o), nil
	}
	schedule, err := scheduler.Parse(c.Agent.Schedule, c.Agent.Zone)
	if err != nil {
		return nil, configError(c, "DBACKED_SCHEDULE (from %s): %v", c.Source("DBACKED_SCHEDULE"), err)
	}
	o.Schedule, o.Timezone, o.RandomDelay = schedule, zoneName(c.Agent.Zone, time.Now()), c.Agent.RandomDelay
	o.Backup, o.After = a.agentBackup(c, schedule, log), agentPrune(c, log)
	return agent.New(o), nil
}

// dueText is when backups are made, for the log.
func dueText(c *config.Config) string {
	if c.Storage.IsService() {
		return "the service's, asked every " + c.Storage.Service.Poll.String()
	}
	return c.Agent.Schedule
}

// zoneName is a time zone as people know it.
func zoneName(zone *time.Location, now time.Time) string {
	if zone != time.Local {
		return zone.String()
	}
	name, _ := now.Zone()
	return "the system's, " + name + " now"
}

// handleSignals does what people and systemd ask for by signals. What it returns
// ends that.
func handleSignals(ctx context.Context, life *agent.Agent, recheck func()) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range signals {
			switch s {
			case syscall.SIGUSR1:
				_, _ = life.Request() // one that stops makes none
			case syscall.SIGUSR2:
				life.Drain()
			case syscall.SIGHUP:
				recheck()
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}
