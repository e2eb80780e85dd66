package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/client"
	"github.com/webhook-repeater/repeater/internal/config"
	"github.com/webhook-repeater/repeater/internal/seam"
)

const checkTimeout = 5 * time.Second // for each thing that is looked at

// finding is one line of a check.
type finding struct {
	Name  string `json:"name"`
	Level string `json:"level"` // ok, warning or failed
	Text  string `json:"text"`
}

const (
	levelOK      = "ok"
	levelWarning = "warning"
	levelFailed  = "failed"
)

func (a *app) checkCommand() *cobra.Command {
	var file, to string
	var connect, asJSON bool
	cmd := &cobra.Command{
		Use: "check", Short: "check a configuration, its store and its destinations", Args: atMost(0),
		Long: `Check, before a start or next to a running server, whether the configuration is valid, the store can be
reached, is safe and has room, and the destinations' names resolve to addresses that are allowed. Nothing is
changed, nothing is sent. Each check has a line; the exit status is 1 if one of them fails. A warning is for
what works, but should be changed.`,
		Example: `  webhook-repeater check
  webhook-repeater check -c config.ini --connect
  webhook-repeater check --to http://127.0.0.1:8989 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file != "" && to != "" {
				return misused("--to works without a file; give either --to or --config")
			}
			findings := examine(cmd.Context(), file, to, connect)
			failed := slices.ContainsFunc(findings, func(f finding) bool { return f.Level == levelFailed })
			if asJSON {
				if err := a.json(map[string]any{"ok": !failed, "checks": findings}); err != nil {
					return err
				}
			} else {
				a.tellFindings(findings)
			}
			if failed {
				return exit(exitFailed)
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&file, "config", "c", "", "configuration `FILE` (default ./config.ini)")
	fl.StringVar(&to, "to", "", "check what the server would do with --to `URL`, without a file")
	fl.BoolVar(&connect, "connect", false, "also connect to each destination, without sending anything")
	fl.BoolVar(&asJSON, "json", false, "print ok, and name, level (ok, warning, failed) and text of each check")
	_ = cmd.MarkFlagFilename("config", "ini")
	return cmd
}

func (a *app) tellFindings(findings []finding) {
	c, width := colour(a.out), 0
	for _, f := range findings {
		width = max(width, len([]rune(f.Name)))
	}
	for _, f := range findings {
		mark := map[string]string{levelOK: green.paint("✓", c), levelWarning: yellow.paint("!", c), levelFailed: red.paint("✗", c)}[f.Level]
		fmt.Fprintf(a.out, "%s %-*s  %s\n", mark, width, clean(f.Name), clean(f.Text))
	}
}

// examine goes on as far as it can.
func examine(ctx context.Context, file, to string, connect bool) []finding {
	src, err := sourceOf(file, to, file != "", to != "")
	if errors.Is(err, errNoConfig) {
		return []finding{{"config", levelFailed, "there is no config.ini in this directory; name a file with -c FILE, or look at what --to URL would do"}}
	}
	if err != nil {
		return mistakes("config", err)
	}
	s, err := src.load()
	if err != nil {
		return mistakes("config", err)
	}
	if file == "" {
		file = defaultConfig
	}
	quiet := slog.New(slog.DiscardHandler)
	redis.SetLogger(redisLog{quiet}) // before there is a client, which may connect at once
	var rc redis.UniversalClient
	if o := s.Redis(); o != nil {
		o.MaxRetries = -1
		c := redis.NewClient(o)
		defer c.Close()
		rc = c
	}
	rp := repeater.New(append(s.Options(rc), repeater.WithLogger(quiet), repeater.WithRedisStrict())...)
	if rc == nil {
		rp = repeater.New(append(s.Options(nil), repeater.WithLogger(quiet))...)
	}
	defer rp.Close()
	if err := rp.Err(); err != nil {
		return mistakes("config", err)
	}
	if _, err := tlsConfig(s, quiet); err != nil {
		return mistakes("config", err)
	}
	text := fmt.Sprintf("%s is valid, with %s", file, plural(len(s.Hooks), "hook", "hooks"))
	if to != "" {
		text = "everything is forwarded to one destination"
	}
	findings := []finding{{"config", levelOK, text}}
	for _, n := range s.Notices {
		findings = append(findings, finding{"config", levelWarning, n})
	}
	ctx, cancel := context.WithTimeout(ctx, 2*checkTimeout)
	defer cancel()
	if rc != nil {
		findings = append(findings, checkRedis(ctx, rc, rp, s.RedisStrict))
	} else {
		findings = append(findings, checkFile(s.File, s.DiskFloor)...)
	}
	findings = append(findings, checkDestinations(ctx, s.Hooks, s.AllowTo, connect)...)
	return append(findings, checkServer(ctx, s))
}

func mistakes(name string, err error) []finding {
	var all []finding
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = strings.TrimPrefix(strings.TrimSpace(line), "webhook-repeater: "); line != "" {
			all = append(all, finding{name, levelFailed, line})
		}
	}
	return all
}

// checkRedis lets the Repeater ask how safe it is.
func checkRedis(ctx context.Context, rc redis.UniversalClient, rp *repeater.Repeater, strict bool) finding {
	ping, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := rc.Ping(ping).Err(); err != nil {
		return finding{"store", levelFailed, "Redis does not answer: " + err.Error()}
	}
	err := rp.Open(ctx)
	switch {
	case errors.Is(err, repeater.ErrUnsafe) && strict:
		return finding{"store", levelFailed, err.Error() + "; redis_strict forbids that"}
	case errors.Is(err, repeater.ErrUnsafe):
		return finding{"store", levelWarning, err.Error()}
	case err != nil:
		return finding{"store", levelFailed, err.Error()}
	}
	return finding{"store", levelOK, "Redis answers, and is set up to lose nothing"}
}

// checkDestinations asks for all at once, and tells them in the order of the hooks.
func checkDestinations(ctx context.Context, hooks []config.Hook, allowTo []string, connect bool) []finding {
	out := make([]finding, len(hooks))
	var wg sync.WaitGroup
	for i := range hooks {
		wg.Go(func() {
			level, text := checkDestination(ctx, hooks[i].Target, allowTo, connect)
			out[i] = finding{"hook " + hooks[i].Name, level, text}
		})
	}
	wg.Wait()
	return out
}

// checkDestination never quotes the URL, of which all but the host may be secret.
func checkDestination(ctx context.Context, target string, allowTo []string, connect bool) (level, text string) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	u, err := url.Parse(target)
	if err != nil {
		return levelFailed, "its destination is not a URL"
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	where := net.JoinHostPort(host, port)
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
		return levelOK, fmt.Sprintf("%s is reached through the proxy %s of the environment", where, proxy.Host)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return levelFailed, fmt.Sprintf("%s does not resolve: %s", where, lookupReason(err))
	}
	text = where
	if first := addrs[0].Unmap().String(); first != host {
		text += " is at " + first
	} else {
		text += " is an address"
	}
	if refused := guarded(addrs, port, allowTo); len(refused) == len(addrs) {
		return levelFailed, text + ", where nothing is sent, as it belongs to the link or to a cloud's own services; allow_to under [app] permits it"
	} else if len(refused) > 0 {
		return levelWarning, text + ", and at " + refused[0] + ", where nothing is sent, as it belongs to the link or to a cloud's own services"
	}
	if !connect {
		return levelOK, text
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", where)
	if err != nil {
		return levelFailed, fmt.Sprintf("%s cannot be connected to: %s", where, dialReason(err))
	}
	_ = conn.Close()
	return levelOK, text + " and accepts connections"
}

// guarded returns those addresses that no webhook may go to.
func guarded(addrs []netip.Addr, port string, allowTo []string) (refused []string) {
	for _, a := range addrs {
		if seam.Refuses(net.JoinHostPort(a.String(), port), allowTo) != nil {
			refused = append(refused, a.Unmap().String())
		}
	}
	return refused
}

func lookupReason(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return "no such host"
	}
	return "the name service does not answer"
}

func dialReason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return strings.TrimPrefix(op.Err.Error(), "connect: ")
	}
	return err.Error()
}

// checkServer only tells: a check is made before a start as well as beside a server.
func checkServer(ctx context.Context, s *config.Settings) finding {
	const name = "server"
	if s.AdminListen == "" {
		return finding{name, levelOK, "not asked, as it has no admin address"}
	}
	host, port, _ := net.SplitHostPort(s.AdminListen)
	cl, err := client.New("http://"+net.JoinHostPort(reachable(host), port), s.AdminToken)
	if err != nil || port == "0" {
		return finding{name, levelOK, "not asked, as it chooses its admin address itself"}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	switch h, err := cl.Health(ctx); {
	case errors.Is(err, client.ErrUnreachable):
		return finding{name, levelOK, "none runs at " + cl.Base()}
	case !s.AdminExplicit && (err != nil || !h.Ready): // the default address may be somebody else's
		return finding{name, levelOK, "another one may run at " + cl.Base()}
	case err != nil:
		return finding{name, levelWarning, err.Error()}
	case !h.Ready:
		return finding{name, levelFailed, cl.Base() + " is not ready: " + strings.Join(h.Reasons, "; ")}
	}
	return finding{name, levelOK, cl.Base() + " stores and delivers"}
}
