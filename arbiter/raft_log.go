package arbiter

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// hclogFor returns a logger for hashicorp's libraries that writes to ours, under a name.
//
// Raft reports each failed attempt to reach a peer as an error. For an arbiter that is a warning: a majority decides
// whether anything is wrong, and Raft reports that by an election.
func hclogFor(log *slog.Logger, name string) hclog.Logger {
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: name, Output: io.Discard, Level: hclog.Trace})
	logger.RegisterSink(&slogSink{log: log.With("logger", name)})
	return logger
}

// slogSink hands hclog's records on to slog. It implements hclog.SinkAdapter.
type slogSink struct {
	log *slog.Logger
}

func (s *slogSink) Accept(_ string, level hclog.Level, message string, pairs ...any) {
	to := slog.LevelDebug
	switch level {
	case hclog.Warn, hclog.Error:
		to = slog.LevelWarn
	case hclog.Info:
		to = slog.LevelInfo
	}
	if !s.log.Enabled(context.Background(), to) {
		return
	}
	for i, value := range pairs {
		if format, ok := value.(hclog.Format); ok {
			pairs[i] = formatted(format)
		}
	}
	s.log.Log(context.Background(), to, message, pairs...)
}

// formatted resolves hclog.Fmt: a format and its arguments that are put together only when somebody reads them.
func formatted(format hclog.Format) any {
	pattern, ok := format[0].(string)
	if !ok {
		return format
	}
	return fmt.Sprintf(pattern, format[1:]...)
}
