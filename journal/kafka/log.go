package kafka

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// logger passes on what the client says, one level lower: its "info" is the daily life of a
// consumer group, which is debugging to those who run Pinflow.
type logger struct {
	log    *slog.Logger
	opened *atomic.Bool // until then what goes wrong is Open's to tell, once
}

func (l logger) Level() kgo.LogLevel {
	switch ctx := context.Background(); {
	case l.log.Enabled(ctx, slog.LevelDebug):
		return kgo.LogLevelInfo
	case l.log.Enabled(ctx, slog.LevelWarn):
		return kgo.LogLevelWarn
	case l.log.Enabled(ctx, slog.LevelError):
		return kgo.LogLevelError
	}
	return kgo.LogLevelNone
}

func (l logger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelDebug
	switch {
	case !l.opened.Load():
	case level == kgo.LogLevelError:
		to = slog.LevelError
	case level == kgo.LogLevelWarn:
		to = slog.LevelWarn
	}
	l.log.Log(context.Background(), to, "kafka client: "+msg, keyvals...)
}
