package repeater

import (
	"errors"
	"net/http"
	"runtime/debug"

	"github.com/webhook-repeater/repeater/internal/admin"
)

// AdminOption sets up [Repeater.Admin]. A nil AdminOption is ignored; of one that is repeated, the
// last holds.
type AdminOption func(*adminSettings)

type adminSettings struct {
	admin.Options
	backup bool
	err    error
}

// AdminToken lets in whoever has this token, from anywhere: programs with the header
// "Authorization: Bearer TOKEN", people with a form. Make it long and random, as printed by
// "openssl rand -base64 32": whoever has it can read and delete what waits. A token of less than 16
// bytes is a mistake.
func AdminToken(token string) AdminOption {
	return func(s *adminSettings) {
		s.Token, s.err = token, nil
		if len(token) < leastAdminToken {
			s.err = errAdminToken // an empty one, from a variable that is not set, must not open the door
		}
	}
}

const leastAdminToken = 16

var errAdminToken = errors.New("AdminToken: a token has 16 bytes or more")

// ShowPayloads lets [Repeater.Admin] show stored requests, headers and bodies, and what
// destinations have answered. Headers whose names suggest credentials or signatures are blanked out
// all the same; paths, queries and bodies may contain secrets, too.
func ShowPayloads() AdminOption {
	return func(s *adminSettings) { s.ShowPayloads = true }
}

// AdminMetrics serves h under metrics, to those who may see the rest: a program that collects
// metrics sends the token as "Authorization: Bearer TOKEN". It is meant for the promhttp handler of
// the registry that [WithMetrics] was given. The default, also for nil, is none.
func AdminMetrics(h http.Handler) AdminOption {
	return func(s *adminSettings) { s.Metrics = h }
}

// AllowBackup lets [Repeater.Admin] send a copy of the file store to whoever asks for it, at
// api/v1/backup (see [Repeater.Backup]). It contains all stored requests, including what
// [ShowPayloads] blanks out.
func AllowBackup() AdminOption {
	return func(s *adminSettings) { s.backup = true }
}

// Admin returns a handler for the operator of the Repeater: it shows what waits, where and why, and
// dead letters, and lets the operator act on them. A JSON API is under api/v1/, described in
// api/v1/openapi.json, and pages for people are under everything else; healthz answers 200 while
// the process lives, readyz 503 while requests cannot be stored or are not delivered. Serve it on a
// listener of its own, or under a prefix:
//
//	mux.Handle("/admin/", http.StripPrefix("/admin", rp.Admin(repeater.AdminToken(token))))
//
// Without [AdminToken] it answers only clients on this machine that connect by an address or the
// name localhost: put nothing in front of it that lets others through, as a reverse proxy on the
// same machine does. healthz and readyz answer everybody. With a mistake in the options, everything
// but healthz is answered with 500.
//
// Source paths, keys, tokens, and what URLs contain besides scheme, host and port are never shown;
// stored requests only with [ShowPayloads], or in a backup, with [AllowBackup]. Admin also works
// without [Repeater.Run]; rates and last errors are those of this process.
func (r *Repeater) Admin(opts ...AdminOption) http.Handler {
	s := adminSettings{Options: admin.Options{Version: moduleVersion()}}
	for _, o := range opts {
		if o != nil {
			o(&s)
		}
	}
	if err := errors.Join(r.err, s.err); err != nil {
		return r.misconfigured(err)
	}
	if s.backup {
		s.Backup = r.sendBackup
	}
	return admin.New(newAdminSource(r), s.Options)
}

// misconfigured answers for an Admin that cannot be served as it was meant.
func (r *Repeater) misconfigured(err error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		r.config().log.Error("repeater: admin is not served: mistakes in the options", "error", err)
		http.Error(w, "the repeater is not configured correctly", http.StatusInternalServerError)
	})
	return mux
}

const modulePath = "github.com/webhook-repeater/repeater"

// moduleVersion is what the go command has recorded of this module.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == modulePath && m.Version != "" {
			return m.Version
		}
	}
	return "unknown"
}
