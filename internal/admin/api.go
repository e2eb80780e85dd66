package admin

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

const (
	pageDefault = 100
	pageMost    = 1000
	stepDefault = 1000  // dead letters replayed or dropped by one call
	stepMost    = 10000 // so that it ends before its caller gives up
)

// api answers under /api/v1/.
type api struct {
	src  Source
	opts Options
}

// operations are all that the API knows. openapi.json describes each.
func (a *api) operations() map[string]func(*http.Request) (any, error) {
	return map[string]func(*http.Request) (any, error){
		"GET /api/v1/lanes":              a.lanes,
		"GET /api/v1/lane":               a.lane,
		"GET /api/v1/messages":           a.messages,
		"GET /api/v1/messages/{id}":      a.explain,
		"GET /api/v1/request":            a.request,
		"GET /api/v1/dead":               a.dead,
		"GET /api/v1/config":             a.config,
		"GET /api/v1/health":             a.health,
		"POST /api/v1/lane/pause":        a.steer(Source.Pause),
		"POST /api/v1/lane/resume":       a.steer(Source.Resume),
		"POST /api/v1/lane/retry-now":    a.steer(Source.RetryNow),
		"POST /api/v1/lane/drop-refused": a.steer(Source.DropRefused),
		"POST /api/v1/dead/replay":       a.step(Source.Replay),
		"POST /api/v1/dead/drop":         a.step(Source.Drop),
	}
}

// Operations lists all that is served, but for pages, as "METHOD /path", sorted.
func Operations() []string {
	all := slices.Collect(maps.Keys((&api{src: discreet{}}).operations()))
	all = append(all, opBackup, opDescription, opAlive, opReady)
	slices.Sort(all)
	return all
}

const (
	opDescription = "GET /api/v1/openapi.json"
	opAlive       = "GET /healthz"
	opReady       = "GET /readyz"
)

func (a *api) mount(mux *http.ServeMux) {
	for pattern, do := range a.operations() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := do(r)
			if err != nil {
				failWith(w, err)
				return
			}
			writeJSON(w, http.StatusOK, answer)
		})
	}
	mux.HandleFunc(opBackup, a.backup)
	mux.HandleFunc(opDescription, serveDescription)
	mux.HandleFunc("/api/", a.unknown)
}

// unknown answers in JSON what the mux would say in words.
func (a *api) unknown(w http.ResponseWriter, r *http.Request) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if r.Method == method {
			continue
		}
		other := r.Clone(r.Context())
		other.Method = method
		mux := http.NewServeMux()
		for pattern := range a.operations() {
			mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
		}
		if _, pattern := mux.Handler(other); pattern != "" {
			w.Header().Set("Allow", method)
			fail(w, http.StatusMethodNotAllowed, "use "+method)
			return
		}
	}
	fail(w, http.StatusNotFound, "there is no such operation; openapi.json lists them")
}

type laneList struct {
	Lanes []Lane `json:"lanes"`
}

func (a *api) lanes(r *http.Request) (any, error) {
	lanes, err := a.src.Lanes(r.Context())
	for i := range lanes {
		lanes[i].complete()
	}
	return laneList{orEmpty(lanes)}, err
}

func (a *api) lane(r *http.Request) (any, error) {
	name, err := laneOf(r)
	if err != nil {
		return nil, err
	}
	l, err := a.src.Lane(r.Context(), name)
	l.complete()
	return l, err
}

// complete leaves no list null.
func (l *Lane) complete() {
	l.Routes, l.Depth = orEmpty(l.Routes), orEmpty(l.Depth)
	l.AcceptedPerSecond, l.DeliveredPerSecond = orEmpty(l.AcceptedPerSecond), orEmpty(l.DeliveredPerSecond)
}

// messageList is a page; Next is "" on the last one.
type messageList struct {
	Messages []Message `json:"messages"`
	Next     string    `json:"next"`
}

func list(messages []Message, next string) messageList {
	for i := range messages {
		messages[i].History = orEmpty(messages[i].History)
	}
	return messageList{orEmpty(messages), next}
}

func (a *api) messages(r *http.Request) (any, error) {
	name, err := laneOf(r)
	if err != nil {
		return nil, err
	}
	most, err := most(r)
	if err != nil {
		return nil, err
	}
	page, next, err := a.src.Messages(r.Context(), name, r.URL.Query().Get("cursor"), most)
	return list(page, next), err
}

func (a *api) dead(r *http.Request) (any, error) {
	f, err := filterOf(r.URL.Query())
	if err != nil {
		return nil, err
	}
	if f.Lane == "" {
		return nil, bad("name the lane, as ?lane=https://example.com:443")
	}
	most, err := most(r)
	if err != nil {
		return nil, err
	}
	page, next, err := a.src.Dead(r.Context(), f, r.URL.Query().Get("cursor"), most)
	return list(page, next), err
}

type explanation struct {
	Messages []Message `json:"messages"`
}

func (a *api) explain(r *http.Request) (any, error) {
	messages, err := a.src.Explain(r.Context(), r.PathValue("id"))
	if err == nil && len(messages) == 0 {
		err = ErrNotFound
	}
	return explanation{list(messages, "").Messages}, err
}

func (a *api) request(r *http.Request) (any, error) {
	q := r.URL.Query()
	dest, err := numberOf(q, "dest", 0, 0, 1<<16-1)
	if err != nil {
		return nil, err
	}
	if q.Get("lane") == "" || q.Get("id") == "" {
		return nil, bad("name the message, as ?lane=LANE&id=ID&dest=0")
	}
	return a.src.Request(r.Context(), q.Get("lane"), q.Get("id"), dest)
}

func (a *api) config(*http.Request) (any, error) {
	c := a.src.Config()
	c.Routes = orEmpty(c.Routes)
	for i := range c.Routes {
		c.Routes[i].Lanes = orEmpty(c.Routes[i].Lanes)
	}
	return c, nil
}

func (a *api) health(r *http.Request) (any, error) {
	h := a.src.Health(r.Context())
	h.Reasons, h.Version = orEmpty(h.Reasons), a.opts.Version
	return h, nil
}

// done answers what was replayed or dropped. With More, the same filter with the same To goes on.
type done struct {
	Done int       `json:"done"`
	More bool      `json:"more"`
	To   time.Time `json:"to"` // what died later was not meant
}
