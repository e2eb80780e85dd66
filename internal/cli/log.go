package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/webhook-repeater/repeater/internal/config"
)

// newLogger also returns what changes its level.
func newLogger(s *config.Settings, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(s.LogLevel)
	o := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "text" || s.LogFormat == "auto" && onTerminal(w) {
		return slog.New(slog.NewTextHandler(w, o)), level
	}
	return slog.New(slog.NewJSONHandler(w, o)), level
}

func demoLog(verbose bool, w io.Writer) *slog.Logger {
	if !verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// redisLog takes the Redis client's own chatter about connections. What comes
// of it the Repeater reports itself.
type redisLog struct{ log *slog.Logger }

func (r redisLog) Printf(ctx context.Context, format string, args ...any) {
	r.log.DebugContext(ctx, "redis client: "+fmt.Sprintf(format, args...))
}
