package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/dbacked/dbacked/pkg/server"
	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/alerts"
	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/metrics"
	"github.com/dbacked/dbacked/pkg/server/pruner"
	"github.com/dbacked/dbacked/pkg/server/records"
	"github.com/dbacked/dbacked/pkg/server/rest"
	"github.com/dbacked/dbacked/pkg/systemd"
)

type serveCommand struct {
	dataFlags
	smtpFlags
	Listen        string `name:"listen" env:"DBACKED_SERVER_LISTEN" default:"127.0.0.1:5000" placeholder:"ADDRESS" help:"Where to serve, beside the sockets of systemd: host:port."`
	MetricsPublic bool   `name:"metrics-public" env:"DBACKED_SERVER_METRICS_PUBLIC" help:"Let anybody GET /metrics, which names projects. Without it a token is needed, of which one that is read-only is enough."`
	PublicURL     string `name:"public-url" env:"DBACKED_SERVER_PUBLIC_URL" placeholder:"URL" help:"How agents reach this service, for example https://backups.example.org; else as they called it."`
}

// Help shows examples.
func (*serveCommand) Help() string {
	return `Agents speak HTTP to it: put a proxy with TLS before it, and give --public-url.

Examples:
  dbacked-server serve
  dbacked-server serve --listen 127.0.0.1:5000 --data ./data
  dbacked-server serve --database postgres://dbacked@db/dbacked --files s3://backups/dbacked`
}

// Limits of a connection. The time for a body is the handlers' own.
const (
	headerLimit = 10 * time.Second
	idleLimit   = 2 * time.Minute
	stopLimit   = 20 * time.Second
)

func (k *serveCommand) Run(ctx context.Context, a *app) error {
	log, err := a.logger()
	if err != nil {
		return err
	}
	if k.PublicURL, err = cleanURL(k.PublicURL); err != nil {
		return err
	}
	smtp, err := k.server()
	if err != nil {
		return err
	}
	notify := systemd.NewNotifier(os.Environ())
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	store, folder, err := k.files(ctx, r, log)
	if err != nil {
		return err
	}
	prune := pruner.New(r, store, pruner.Options{Log: log})
	handler, err := k.handler(r, store, folder, prune, alerts.NewSender(smtp), log)
	if err != nil {
		return err
	}
	listeners, err := k.listeners()
	if err != nil {
		return err
	}
	stop := besides(ctx, alerts.New(r, alerts.Options{SMTP: smtp, Log: log}).Run, prune.Run)
	defer stop()
	return k.serve(ctx, handler, listeners, notify, log)
}

// handler is all that is served. What is built over the REST API, for people to look
// at, belongs here too, at a path of its own.
func (k *serveCommand) handler(r *records.Store, store files.Store, folder *files.Folder, prune *pruner.Pruner, sender admin.Sender, log *zap.Logger) (http.Handler, error) {
	api, err := rest.New(r, rest.Options{Sender: sender, Version: version, Log: log})
	if err != nil {
		return nil, err
	}
	m := metrics.New(r, metrics.Options{Public: k.MetricsPublic, Version: version, Log: log})
	mux := http.NewServeMux()
	if folder != nil {
		mux.Handle("/files/", folder)
	}
	mux.Handle("/api/", api)
	mux.Handle("GET /metrics", m.Handler())
	mux.Handle("/", server.New(r, store, server.Options{PublicURL: k.PublicURL, Version: version, Completed: prune.Completed, Log: log}))
	return m.Measure(mux), nil
}

// besides runs what goes on beside serving until stop is called, which waits for what
// is being done.
func besides(ctx context.Context, all ...func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, run := range all {
		running.Go(func() { run(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// cleanURL is a public URL without the slash at its end.
func cleanURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return "", fmt.Errorf("--public-url: write https://HOST or https://HOST/PATH")
	}
	return strings.TrimSuffix(text, "/"), nil
}

// listeners are the sockets that systemd gave, else the one that is configured.
func (k *serveCommand) listeners() (all []net.Listener, err error) {
	given, err := systemd.Listeners()
	if err != nil {
		return nil, fmt.Errorf("taking systemd's sockets: %w", err)
	}
	for _, l := range given {
		all = append(all, l...)
	}
	if len(all) > 0 {
		return all, nil
	}
	l, err := net.Listen("tcp", k.Listen)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	return []net.Listener{l}, nil
}

// serve serves until ctx ends, and lets those who are being answered have their
// answer.
func (k *serveCommand) serve(ctx context.Context, handler http.Handler, listeners []net.Listener, notify *systemd.Notifier, log *zap.Logger) error {
	s := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerLimit, IdleTimeout: idleLimit, MaxHeaderBytes: 64 << 10,
		ErrorLog: zap.NewStdLog(zap.NewNop()),
	}
	failed := make(chan error, len(listeners))
	var serving sync.WaitGroup
	for _, l := range listeners {
		log.Info("serving", zap.String("address", l.Addr().String()))
		serving.Go(func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	notify.Ready()
	err := k.wait(ctx, notify, failed)
	notify.Stopping()
	stop, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if shutdown := s.Shutdown(stop); shutdown != nil {
		log.Warn("calls were cut off", zap.Error(shutdown))
		_ = s.Close()
	}
	serving.Wait()
	return err
}

// wait returns when ctx ends, or with why a socket failed; the watchdog is fed
// meanwhile.
func (k *serveCommand) wait(ctx context.Context, notify *systemd.Notifier, failed <-chan error) error {
	var tick <-chan time.Time
	if interval := notify.WatchdogInterval(); interval > 0 {
		ticker := time.NewTicker(interval / 2)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-tick:
			notify.Watchdog()
		}
	}
}

// logger writes to the journal when standard error leads there, else lines.
func (a *app) logger() (*zap.Logger, error) {
	if file, ok := a.err.(*os.File); ok && systemd.ToJournal(file, os.Environ()) {
		core, err := systemd.NewJournalCore(zapcore.InfoLevel)
		if err != nil {
			return nil, fmt.Errorf("logging to the journal: %w", err)
		}
		return zap.New(core), nil
	}
	return lines(a.err), nil
}

func lines(w io.Writer) *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{
		TimeKey: "time", MessageKey: "message", LevelKey: "level", EncodeLevel: zapcore.LowercaseLevelEncoder,
		EncodeTime: zapcore.RFC3339TimeEncoder, ConsoleSeparator: "  ", EncodeDuration: zapcore.StringDurationEncoder,
	})
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), zapcore.InfoLevel))
}
