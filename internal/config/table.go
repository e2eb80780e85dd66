package config

import (
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"
)

// Section is a part of the file and its keys.
type Section struct {
	Name string // "hook:NAME" stands for any number of sections
	Doc  string
	Keys []Key
}

// Key is what a file may set.
type Key struct {
	Name     string
	Default  string // as a file would have it; "" for none
	Doc      string
	Required bool
	kind
	missing string // what to do when a required one is missing
	ofLane  bool   // hooks of one lane must agree in what they state: the default is not stated
}

// Sections is all there is to configure. Parsing, defaults and suggestions
// come from here, and so may documentation.
var Sections = []Section{
	{Name: "server", Doc: "Where webhooks come in.", Keys: []Key{
		{Name: "host", Default: "0.0.0.0", Doc: "Address to listen on; 0.0.0.0 is every IPv4 address of this machine, :: every address.",
			kind: host(func(f *fields) *string { return &f.Host })},
		{Name: "port", Default: "8100", Doc: "Port to listen on; 0 picks a free one and logs it.",
			kind: number(func(f *fields) *int { return &f.Port }, 0, 65535)},
		{Name: "grace", Default: "10s", Doc: "How long a stop waits for requests and deliveries in flight. What is not finished is kept.",
			kind: positive(duration(func(f *fields) *time.Duration { return &f.Grace }))},
		{Name: "max_body", Default: "25MB", Doc: "Largest body that is accepted; a larger one is answered with 413.",
			kind: size(func(f *fields) *int64 { return &f.MaxBody })},
		{Name: "max_header", Default: "64KB", Doc: "Largest request line and headers that are accepted; larger ones are answered with 431.",
			kind: size(func(f *fields) *int64 { return &f.MaxHeader })},
		{Name: "read_timeout", Default: "30s", Doc: "How long a sender may take for the body; slower ones are answered with 408.",
			kind: positive(duration(func(f *fields) *time.Duration { return &f.ReadTimeout }))},
		{Name: "trusted_proxies", Default: "none", Doc: "Reverse proxies in front, whose X-Forwarded-For and Forwarded are believed.",
			kind: orNone(func(f *fields) *[]string { return &f.TrustedProxies }, networks)},
		{Name: "tls_cert", Doc: "Accept HTTPS with this certificate, a file in PEM form. It is read again when it changes.",
			kind: text(func(f *fields) *string { return &f.TLSCert })},
		{Name: "tls_key", Doc: "The file with its key.",
			kind: text(func(f *fields) *string { return &f.TLSKey })},
		{Name: "h2c", Default: "no", Doc: "Accept HTTP/2 without TLS, too.",
			kind: yesNo(func(f *fields) *bool { return &f.H2C })},
		{Name: "accept_memory", Default: "256MB", Doc: "Memory for bodies that are being accepted; when it is used up, senders get 503.",
			kind: size(func(f *fields) *int64 { return &f.AcceptMemory })},
	}},
	{Name: "app", Doc: "How requests are delivered.", Keys: slices.Concat([]Key{
		{Name: "backoff_timeout", Default: "5s", Doc: "How long a destination is left alone after its first failure; this doubles with each further one.",
			kind: positive(duration(func(f *fields) *time.Duration { return &f.Backoff }))},
		{Name: "backoff_max_timeout", Default: "5m", Doc: "The longest that pause can get.",
			kind: positive(duration(func(f *fields) *time.Duration { return &f.BackoffMax }))},
		{Name: "timeout", Default: "0", Doc: "Minimum time between two deliveries to one destination.",
			kind: duration(func(f *fields) *time.Duration { return &f.Pace })},
		{Name: "redis_host", Doc: "Keep requests in the Redis on this host, instead of a file.",
			kind: host(func(f *fields) *string { return &f.RedisHost })},
		{Name: "redis_port", Default: "6379", Doc: "Port of redis_host.",
			kind: number(func(f *fields) *int { return &f.RedisPort }, 1, 65535)},
		{Name: "redis_db", Default: "0", Doc: "Number of the database on redis_host.",
			kind: number(func(f *fields) *int { return &f.RedisDB }, 0, 1<<31-1)},
		{Name: "push_timeout", Default: "5s", Doc: "How long storing a request may take; then the sender gets 503.",
			kind: positive(duration(func(f *fields) *time.Duration { return &f.PushTimeout }))},
		{Name: "dial_timeout", Default: "5s", Doc: "How long connecting to a destination may take.",
			kind: positive(duration(func(f *fields) *time.Duration { return &f.Timeouts.Dial }))},
		{Name: "tls_timeout", Default: "5s", Doc: "How long the TLS handshake may take.",
			kind: positive(duration(func(f *fields) *time.Duration { return &f.Timeouts.TLS }))},
		{Name: "header_timeout", Default: "15s", Doc: "How long an answer may take to begin, once the request is sent.",
			kind: positive(duration(func(f *fields) *time.Duration { return &f.Timeouts.Header }))},
		{Name: "attempt_timeout", Default: "30s", Doc: "How long one attempt may take in all.",
			kind: positive(duration(func(f *fields) *time.Duration { return &f.Timeouts.Attempt }))},
		{Name: "allow_to", Default: "none", Doc: "Link-local addresses, and those of cloud providers' internal services, that are allowed as destinations.",
			kind: orNone(func(f *fields) *[]string { return &f.AllowTo }, networks)},
		{Name: "quick_retries", Default: "2", Doc: "How often to try again within a second when a restart of the destination may be the reason.",
			kind: number(func(f *fields) *int { return &f.QuickRetries }, 0, 2)},
		{Name: "deliver_memory", Default: "256MB", Doc: "Memory for bodies that are being delivered.",
			kind: size(func(f *fields) *int64 { return &f.DeliverMemory })},
		{Name: "lane_max_messages", Default: "1000000", Doc: "How many requests may wait for one destination; beyond that, senders get 503.",
			kind: number(func(f *fields) *int { return &f.Bound.Messages }, 1, math.MaxInt32)},
		{Name: "lane_max_bytes", Default: "10GB", Doc: "How many bytes may wait for one destination.",
			kind: size(func(f *fields) *int64 { return &f.Bound.Bytes })},
		{Name: "dead_letter_age", Default: "720h", Doc: "How long dead letters are kept.",
			kind: positive(duration(func(f *fields) *time.Duration { return &f.DeadLetterAge }))},
	}, eachHook)},
	{Name: "store", Doc: "Where requests wait: in a file, unless a Redis is named here or under [app].", Keys: []Key{
		{Name: "file", Default: "webhook-repeater.db", Doc: "The file; a relative path is relative to the working directory. It serves one process at a time.",
			kind: text(func(f *fields) *string { return &f.File })},
		{Name: "disk_floor", Default: "256MB", Doc: "How much space to leave free on the file's disk. Below that, senders get 503.",
			kind: size(func(f *fields) *int64 { return &f.DiskFloor })},
		{Name: "redis_url", Doc: "Keep requests in Redis: redis://[USER:PASSWORD@]HOST:PORT/DB, or rediss:// for TLS.",
			kind: hidden(redisURL(func(f *fields) *string { return &f.RedisURL }))},
		{Name: "redis_prefix", Default: "repeater:", Doc: "What all keys in Redis begin with.",
			kind: redisPrefix(func(f *fields) *string { return &f.RedisPrefix })},
		{Name: "redis_strict", Default: "no", Doc: "Refuse to run with a Redis that may lose what it has acknowledged, instead of logging a warning.",
			kind: yesNo(func(f *fields) *bool { return &f.RedisStrict })},
		{Name: "redis_wait", Default: "0", Doc: "How many replicas must have a request before its sender gets 200.",
			kind: number(func(f *fields) *int { return &f.RedisWait }, 0, 100)},
		{Name: "redis_wait_timeout", Default: "1s", Doc: "How long to wait for them. Then the sender gets 503.",
			kind: positive(duration(func(f *fields) *time.Duration { return &f.RedisWaitTimeout }))},
		{Name: "unknown_route_age", Default: "1h", Doc: "How long requests of a hook that no process has any more wait in Redis before they become dead letters.",
			kind: positive(duration(func(f *fields) *time.Duration { return &f.UnknownRouteAge }))},
		{Name: "encrypt", Doc: "Encrypt stored requests with the first of these keys, one per line. All of them decrypt.",
			kind: secrets(func(f *fields) *[]string { return &f.Encrypt })},
	}},
	{Name: "admin", Doc: "Pages and an API for the operator.", Keys: []Key{
		{Name: "listen", Default: "127.0.0.1:8101", Doc: "Address and port for them; off for none.",
			kind: listenAddress(func(f *fields) *string { return &f.AdminListen })},
		{Name: "token", Doc: "The token to sign in with. Required unless only this machine can connect.",
			kind: hidden(adminToken(func(f *fields) *string { return &f.AdminToken }))},
		{Name: "show_payloads", Default: "no", Doc: "Show stored requests, including secrets in them.",
			kind: yesNo(func(f *fields) *bool { return &f.ShowPayloads })},
		{Name: "allow_backup", Default: "no", Doc: "Let everybody who may use the API download a copy of the file, with all requests.",
			kind: yesNo(func(f *fields) *bool { return &f.AllowBackup })},
	}},
	{Name: "log", Doc: "What is logged, to standard error.", Keys: []Key{
		{Name: "level", Default: "info", Doc: "The lowest level that is logged.",
			kind: level(func(f *fields) *slog.Level { return &f.LogLevel })},
		{Name: "format", Default: "auto", Doc: "auto is text on a terminal and json elsewhere.",
			kind: oneOf(func(f *fields) *string { return &f.LogFormat }, "auto", "text", "json")},
	}},
	{Name: "hook:NAME", Doc: "A path, and where its requests go. NAME is yours to choose; stored requests find their hook by it.", Keys: slices.Concat([]Key{
		{Name: "src_path", Doc: "The exact path to accept, written without escapes.",
			Required: true, missing: `write a path, "/" for the root`, kind: srcPath()},
		{Name: "src_host", Doc: "Who may send: addresses and networks, separated by commas. Without the key, everybody.",
			kind: networks(func(f *fields) *[]string { return &f.hook.Allow })},
		{Name: "dst_host", Doc: "Where requests go: http://HOST:PORT.",
			Required: true, missing: "write where requests go, as http://HOST:PORT", kind: dstHost()},
		{Name: "dst_path", Doc: "What to put in front of the request's path.", kind: dstPath()},
	}, eachHook)},
}

// eachHook are the keys of a hook that may also stand in [app], where they hold for
// every hook without its own.
var eachHook = []Key{
	{Name: "concurrency", Default: "1", Doc: "How many deliveries to one destination may be in flight at once.", ofLane: true,
		kind: number(func(f *fields) *int { return &f.hook.Concurrency }, 1, 10_000)},
	{Name: "order_by", Default: "none", Doc: "Keep requests with the same key in order at any concurrency, also when one of them fails. The key is found by header:NAME or json:POINTER.",
		kind: orNone(func(f *fields) *string { return &f.hook.OrderBy }, orderBy)},
	{Name: "strict", Default: "no", Doc: "Let nothing overtake the oldest request of a destination, whatever happens to it. One hook that says yes makes the whole lane strict, for all hooks that share it.",
		kind: yesNo(func(f *fields) *bool { return &f.hook.Strict })},
	{Name: "lane", Default: "none", Doc: "Give the hook a queue of its own, by this name; hooks with the same name and destination share it.",
		kind: orNone(func(f *fields) *string { return &f.hook.Lane }, laneName)},
	{Name: "max_age", Default: "72h", Doc: "How long to go on trying. Then a request becomes a dead letter.",
		kind: positive(duration(func(f *fields) *time.Duration { return &f.hook.MaxAge }))},
	{Name: "max_attempts", Default: "none", Doc: "How many times to try. Then a request becomes a dead letter.",
		kind: orNone(func(f *fields) *int { return &f.hook.MaxAttempts }, attempts)},
	{Name: "retry_status", Default: "408, 425, 429, 5xx", Doc: "Answers after which to try again. Any other that is not 2xx makes a dead letter at once, unless five requests in a row are refused: then the lane pauses (except for 410).",
		kind: orNone(func(f *fields) *[]string { return &f.hook.RetryStatus }, statuses)},
	{Name: "success", Default: "2xx", Doc: "Answers that count as delivered: 2xx, or any.",
		kind: oneOf(func(f *fields) *string { return &f.hook.Success }, "2xx", "any")},
	{Name: "dedupe", Default: "none", Doc: "Store requests that have the same value in this header only once.",
		kind: orNone(func(f *fields) *string { return &f.hook.Dedupe }, headerName)},
	{Name: "pass_through", Default: "0", Doc: "How long the sender waits for the destination's answer. One that comes in time goes to the sender and settles the request, whatever its status: after a 500 or 503 it is not tried again. If none comes in time, the sender gets 202 and the request stays queued.",
		kind: duration(func(f *fields) *time.Duration { return &f.hook.PassThrough })},
	{Name: "keep_host", Default: "no", Doc: "Send the request's own Host header instead of the destination's.",
		kind: yesNo(func(f *fields) *bool { return &f.hook.KeepHost })},
	{Name: "secret", Doc: "Sign what is forwarded, in the header X-REPEATER-SIG.",
		kind: hidden(text(func(f *fields) *string { return &f.hook.Secret }))},
	{Name: "sign_secret", Doc: "Sign what is forwarded, as Standard Webhooks specifies. Several secrets, one per line, while changing it.",
		kind: secrets(func(f *fields) *[]string { return &f.hook.SignSecrets })},
	{Name: "dst_tls_ca", Doc: "Trust the authorities in this file, in PEM form, instead of the system's.",
		kind: text(func(f *fields) *string { return &f.hook.TLSCA })},
	{Name: "dst_tls_cert", Doc: "The client certificate for the destination, a file in PEM form.",
		kind: text(func(f *fields) *string { return &f.hook.TLSCert })},
	{Name: "dst_tls_key", Doc: "The file with its key.",
		kind: text(func(f *fields) *string { return &f.hook.TLSKey })},
	{Name: "dst_tls_insecure", Default: "no", Doc: "Accept any certificate: anybody on the network path can read and answer.",
		kind: yesNo(func(f *fields) *bool { return &f.hook.TLSInsecure })},
	{Name: "dst_h2c", Default: "no", Doc: "Use HTTP/2 without TLS for an http:// destination, which must support it.",
		kind: yesNo(func(f *fields) *bool { return &f.hook.H2C })},
	{Name: "handshake", Default: "none", Doc: "Answer the handshake with which this sender checks the address first.",
		kind: orNone(func(f *fields) *string { return &f.hook.Handshake }, handshake)},
	{Name: "handshake_secret", Doc: "What the handshake needs: verify tokens of meta, consumer secret of x, origins of cloudevents; one per line.",
		kind: secrets(func(f *fields) *[]string { return &f.hook.HandshakeSecrets })},
	{Name: "verify", Default: "none", Doc: "Accept only requests that this sender has signed.",
		kind: orNone(func(f *fields) *string { return &f.hook.Verify }, verifier)},
	{Name: "verify_secret", Doc: "The secret shared with that sender. Several, one per line, while changing it.",
		kind: secrets(func(f *fields) *[]string { return &f.hook.VerifySecrets })},
}

// fields is what the keys of the table set.
type fields struct {
	*Settings
	hook *Hook // the section being read; outside of one, what holds for every hook
}

// find returns the table's section for one of a file, or nil.
func find(name string) *Section {
	if _, ok := hookName(name); ok {
		name = "hook:NAME"
	}
	for i := range Sections {
		if Sections[i].Name == name {
			return &Sections[i]
		}
	}
	return nil
}

func hookName(section string) (string, bool) {
	name, ok := strings.CutPrefix(section, "hook:")
	return strings.TrimSpace(name), ok
}

// isPythonLogging tells the sections that the logging package of Python reads.
func isPythonLogging(section string) bool {
	switch section {
	case "loggers", "handlers", "formatters":
		return true
	}
	for _, prefix := range []string{"logger_", "handler_", "formatter_"} {
		if strings.HasPrefix(section, prefix) {
			return true
		}
	}
	return false
}

func names() []string {
	all := make([]string, len(Sections))
	for i, s := range Sections {
		all[i] = s.Name
	}
	return all
}

// homeOf returns the section that has a key, or "".
func homeOf(key string) string {
	for _, s := range Sections {
		if s.key(key) != nil {
			return s.Name
		}
	}
	return ""
}

func isEachHook(key string) bool {
	return slices.ContainsFunc(eachHook, func(k Key) bool { return k.Name == key })
}

func (s *Section) key(name string) *Key {
	for i := range s.Keys {
		if s.Keys[i].Name == name {
			return &s.Keys[i]
		}
	}
	return nil
}

func (s *Section) names() []string {
	all := make([]string, len(s.Keys))
	for i, k := range s.Keys {
		all[i] = k.Name
	}
	return all
}
