package repeater

import (
	"log/slog"
)

// log tells of one attempt: what went well at debug level only, as there is much of it.
func (l *lane) log(o outcome, s Settlement) {
	log, level, text := l.cfg.log, slog.LevelDebug, "delivered"
	switch s.Kind {
	case SettleRetry:
		level, text = slog.LevelWarn, "not delivered; tried again later, the lane goes on"
		if s.Hold {
			text = "not delivered; the lane waits"
		}
	case SettleDead:
		level, text = slog.LevelWarn, "dead letter"
	}
	if !log.Enabled(l.w.ctx, level) {
		return
	}
	args := []any{"lane", l.name, "route", o.msg.Route, "id", o.msg.Key.ID, "destination", o.msg.Key.Dest, "attempt", o.msg.Attempts + 1}
	if a := o.attempt; !a.At.IsZero() {
		args = append(args, "took", a.Took.String(), "status", a.Status)
		if a.Error != "" {
			args = append(args, "error", a.Error)
		}
	}
	switch s.Kind {
	case SettleRetry:
		args = append(args, "next", s.After.String())
	case SettleDead:
		args = append(args, "reason", s.Reason)
	}
	log.Log(l.w.ctx, level, text, args...)
}
