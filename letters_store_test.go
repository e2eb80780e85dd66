package repeater_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
)

// TestDeadLettersOverStores: what an operator does with dead letters, over each store that lasts.
func TestDeadLettersOverStores(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(t *testing.T) repeater.Option{
		"file": func(t *testing.T) repeater.Option { return repeater.WithFile(filepath.Join(t.TempDir(), "test.db")) },
		"redis": func(t *testing.T) repeater.Option {
			client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
			t.Cleanup(func() { _ = client.Close() })
			return repeater.WithRedis(client)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var back atomic.Bool
			arrived := make(chan string, 10)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if arrived <- r.URL.Query().Get("n") + "#" + r.Header.Get("Repeater-Attempt"); !back.Load() {
					http.Error(w, "no such hook", http.StatusGone)
				}
			}))
			defer srv.Close()
			rp := run(t, repeater.Route("/", srv.URL, repeater.Name("hook")), store(t))
			for _, n := range []string{"1", "2", "3"} {
				wantStatus(t, try(rp, "POST", "/?n="+n), 200)
				receive(t, arrived, "an attempt")
			}
			d, lane := rp.DeadLetters(), srv.URL // an origin with its port is the name of its lane
			for listed := 0; listed < 3; {
				letters, _, err := d.List(t.Context(), lane, "", 10)
				if err != nil {
					t.Fatal(err)
				}
				listed = len(letters)
			}
			letters, next, err := d.List(t.Context(), lane, "", 2)
			if err != nil || len(letters) != 2 || next == "" {
				t.Fatalf("listed %+v, %q, %v, want a page of 2 and another", letters, next, err)
			}
			letter, req, err := d.Show(t.Context(), lane, letters[0].Key)
			if err != nil || req.Query != "?n=3" || letter.Route != "hook" || letter.Attempts != 1 ||
				letter.History[0].Status != 410 || string(letter.Answer) != "no such hook\n" {
				t.Errorf("shown %+v, %+v, %v", letter, req, err)
			}
			back.Store(true)
			if n, err := d.Drop(t.Context(), repeater.DeadFilter{Keys: []repeater.Key{letters[0].Key}}); n != 1 || err != nil {
				t.Errorf("dropped %d, %v, want 1", n, err)
			}
			if n, err := d.Replay(t.Context(), repeater.DeadFilter{Status: 410, From: time.Now().Add(-time.Hour)}); n != 2 || err != nil {
				t.Errorf("replayed %d, %v, want 2", n, err)
			}
			for _, want := range []string{"1#1", "2#1"} {
				if got := receive(t, arrived, "a replayed message"); got != want {
					t.Errorf("arrived %s, want %s", got, want)
				}
			}
			if lanes := settled(t, rp); len(lanes) != 0 {
				t.Errorf("left: %+v", lanes)
			}
		})
	}
}
