package browsertest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/admin/admintest"
)

// TestRefreshKeeps: news comes in, and what somebody is doing stays: focus, selection, scroll position, and the rows where they are.
func TestRefreshKeeps(t *testing.T) {
	t.Parallel()
	b := open(t)
	src := admintest.Busy(time.Now())
	b.do(chromedp.EmulateViewport(1280, 700))
	b.visit(serve(t, src, admin.Options{}))
	const wiki = `tr[data-key="https://wiki.example:443"]`
	eval[chromedp.Void](b, fmt.Sprintf(`(() => {
		window.row = document.querySelector('%s');
		window.row.querySelector("a.name").focus();
		window.scrollTo(0, 400);
		getSelection().selectAllChildren(document.querySelector('tr[data-key="https://erp.example:443"] .why'));
		window.was = state();
		function state() {
			return { focus: document.activeElement.closest("tr").dataset.key, selection: String(getSelection()), scroll: scrollY,
				tops: [...document.querySelectorAll("tr")].map((r) => r.getBoundingClientRect().top), widths: [...document.querySelectorAll("thead th")].map((h) => h.offsetWidth) };
		}
		window.state = state;
	})()`, wiki))
	src.Set("https://wiki.example:443", func(l *admintest.Lane) { l.Waiting = 8 })
	b.await(fmt.Sprintf(`document.querySelector('%s [data-label=Waiting]').innerText === "8"`, wiki))
	type state struct {
		Focus, Selection string
		Scroll           float64
		Tops, Widths     []float64
	}
	was, is := eval[state](b, `window.was`), eval[state](b, `state()`)
	if diff := cmp.Diff(was, is); diff != "" || is.Focus != "https://wiki.example:443" || is.Scroll != 400 || is.Selection == "" {
		t.Errorf("the refresh has moved something (-before +after):\n%s", diff)
	}
	if !eval[bool](b, `window.row.isConnected`) {
		t.Error("the row was replaced rather than changed")
	}

	// A lane that falls ill goes up, and the row that has the focus keeps it.
	src.Set("https://wiki.example:443", func(l *admintest.Lane) { l.State = admin.Unwell })
	b.await(`document.querySelectorAll("tbody tr")[1].dataset.key === "https://wiki.example:443"`)
	src.Remove("https://erp.example:443")
	b.await(`document.querySelectorAll("tbody tr").length === 19`)
	src.Add(admintest.Lane{Lane: admin.Lane{Name: "http://a-new-one:80", State: admin.Well}})
	b.await(`document.querySelectorAll("tbody tr").length === 20 && document.querySelector('tr[data-key="http://a-new-one:80"]') !== null`)
	if keys := eval[[]string](b, `[...document.querySelectorAll("tbody tr")].map((r) => r.dataset.key)`); keys[4] != "https://wiki.example:443" && keys[1] != "https://wiki.example:443" {
		t.Errorf("rows are %q", keys)
	}
	b.await(`document.title.startsWith("4 lanes in trouble")`)
	b.wantPeace()
}

// TestRefreshWaits while somebody chooses, so that nothing moves under the hand.
func TestRefreshWaits(t *testing.T) {
	t.Parallel()
	b := open(t)
	now := time.Now()
	src := admintest.Busy(now)
	b.visit(serve(t, src, admin.Options{}) + "/dead")
	b.click("td input[type=checkbox]")
	b.reads("1 selected:")
	letters := func(n int) string { return fmt.Sprintf(`document.querySelectorAll("tr[data-key]").length === %d`, n) }
	src.Set("https://hooks.partner.example:443", func(l *admintest.Lane) { l.Letters = l.Letters[:10] })
	b.reads("Held while you choose")
	if !eval[bool](b, letters(50)) {
		t.Error("letters were taken away from under the hand")
	}
	b.click("#all") // all of them, and then none
	b.reads("50 selected:")
	b.click("#all")
	b.await(letters(13))
	b.reads("0 selected:")
	if !eval[bool](b, `document.querySelector(".letters button.main").disabled`) {
		t.Error("nothing is selected, and can be replayed")
	}
	b.wantPeace()
}

// TestRefreshRests while nobody looks, or somebody wants to read in peace; and tells when there is no answer.
func TestRefreshRests(t *testing.T) {
	t.Parallel()
	b := open(t)
	pages := admin.New(admintest.Busy(time.Now()), admin.Options{})
	var asked atomic.Int64
	var broken atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			asked.Add(1)
		}
		if broken.Load() {
			panic(http.ErrAbortHandler)
		}
		pages.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	b.visit(server.URL)
	wait := func(more int64) {
		t.Helper()
		for start, limit := asked.Load(), time.Now().Add(patience); asked.Load() < start+more; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatal("the page does not refresh")
			}
		}
	}
	rests := func(what string) {
		t.Helper()
		before := asked.Load()
		time.Sleep(7 * time.Second) // more than one round
		if n := asked.Load() - before; n > 0 {
			t.Errorf("%s: asked %d times", what, n)
		}
	}
	wait(2)
	const hide = `Object.defineProperty(document, "visibilityState", { configurable: true, get: () => %q }); document.dispatchEvent(new Event("visibilitychange"))`
	eval[chromedp.Void](b, fmt.Sprintf(hide, "hidden"))
	rests("hidden")
	eval[chromedp.Void](b, fmt.Sprintf(hide, "visible"))
	wait(1)
	b.click("#hold")
	b.reads("Held at ")
	rests("held")
	b.click("#hold")
	wait(1)

	broken.Store(true)
	b.reads("Old: no answer since ")
	broken.Store(false)
	b.reads("Live ")
	b.wantPeace("ERR_EMPTY_RESPONSE", "ERR_CONNECTION")
}

// TestKeyboard: what a mouse does, keys do, and one sees where one is.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.visit(serve(t, admintest.Busy(time.Now()), admin.Options{}))
	press := func(keys string) {
		t.Helper()
		b.do(chromedp.KeyEvent(keys))
	}
	press("\t")
	b.await(`document.activeElement.className === "skip" && document.activeElement.getBoundingClientRect().top >= 0`)
	press("\r")
	b.await(`document.activeElement.id === "main"`)
	press("\t")
	press("\t")
	b.await(`document.activeElement.matches("tr a.name")`)
	if got := eval[string](b, `getComputedStyle(document.activeElement).outlineStyle + " " + getComputedStyle(document.activeElement).outlineWidth`); got != "solid 3px" {
		t.Errorf("the focus looks like %q", got)
	}
	press("\t")
	b.await(`document.activeElement.innerText === "Retry now"`)
	press("\r")
	b.reads("Told to try at once.")
}
