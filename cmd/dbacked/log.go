package main

import (
	"fmt"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/dbacked/dbacked/pkg/systemd"
)

// logger writes what stages have to say as lines for people.
func (s *screen) logger() *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{
		MessageKey: "message", LevelKey: "level", EncodeLevel: zapcore.LowercaseLevelEncoder,
		ConsoleSeparator: ": ", EncodeDuration: zapcore.StringDurationEncoder,
	})
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(s.err), zapcore.InfoLevel))
}

// agentLogger writes to the journal when standard error leads there, lines for
// people to a terminal, and JSON elsewhere.
func (a *app) agentLogger() (*zap.Logger, error) {
	file, isFile := a.err.(*os.File)
	switch {
	case isFile && systemd.ToJournal(file, a.environ):
		core, err := systemd.NewJournalCore(zapcore.InfoLevel)
		if err != nil {
			return nil, fmt.Errorf("logging to the journal: %w", err)
		}
		a.logged = true
		return zap.New(core), nil
	case a.live:
		encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{
			TimeKey: "time", MessageKey: "message", LevelKey: "level", EncodeLevel: zapcore.LowercaseLevelEncoder,
			EncodeTime: zapcore.TimeEncoderOfLayout("15:04:05"), ConsoleSeparator: "  ", EncodeDuration: zapcore.StringDurationEncoder,
		})
		return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(a.err), zapcore.InfoLevel)), nil
	}
	a.logged = true
	c := zap.NewProductionEncoderConfig()
	c.TimeKey, c.EncodeTime, c.EncodeDuration = "time", zapcore.RFC3339TimeEncoder, zapcore.SecondsDurationEncoder
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(c), zapcore.AddSync(a.err), zapcore.InfoLevel)), nil
}
