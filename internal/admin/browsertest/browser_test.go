// Package browsertest_test looks at the admin pages with a real browser: that an operator can set things
// right with them, and that they fit, can be read, and keep what somebody is doing while they refresh.
package browsertest_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/admin/admintest"
)

const patience = 60 * time.Second // with a loaded machine

// program finds the browser. Without one the test is skipped, or fails if REPEATER_REQUIRE_BROWSER is 1.
func program(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("REPEATER_REQUIRE_BROWSER") == "1" {
		t.Fatal("no chromium on the PATH")
	}
	t.Skip("no chromium on the PATH")
	return ""
}

// browser is one window, and what went wrong in it.
type browser struct {
	t   testing.TB
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

// open starts a browser of the test's own, which ends with the test.
func open(t testing.TB) *browser {
	t.Helper()
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(program(t)), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("lang", "en-GB"))
	ctx, cancel := context.WithTimeout(t.Context(), 8*patience)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(stop)
	ctx, leave := chromedp.NewContext(ctx)
	t.Cleanup(leave)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil { // it starts the browser
		t.Fatal(err)
	}
	return b
}

// listen keeps what the browser's console says, such as that a script was kept from running.
func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, fmt.Sprintf("%s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	}
}

// wantPeace fails if the browser has complained, other than of answers with these words.
func (b *browser) wantPeace(except ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		if !slices.ContainsFunc(except, func(e string) bool { return strings.Contains(c, e) }) {
			b.t.Errorf("the browser complains: %s", c)
		}
	}
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%v\nthe page is:\n%s", err, b.text())
	}
}

// text is what a person reads on the page.
func (b *browser) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// eval runs an expression in the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// await waits until an expression holds, in this page or one that follows.
func (b *browser) await(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if ok && err == nil { // between two pages there is an error
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			b.t.Fatalf("never came: %s (%v)\nthe page is:\n%s", expression, err, b.text())
		}
	}
}

// reads waits until the page says something.
func (b *browser) reads(words string) {
	b.t.Helper()
	b.await(fmt.Sprintf(`document.body !== null && document.body.innerText.includes(%q)`, words))
}

// click clicks what can be seen of a selector.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// leads clicks, and waits for the page that follows.
func (b *browser) leads(selector string) {
	b.t.Helper()
	eval[chromedp.Void](b, `window.left = true`)
	b.click(selector)
	b.await(`!window.left && document.readyState === "complete"`)
}

func (b *browser) visit(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
	b.await(`document.readyState === "complete"`)
}

// serve shows src on a port of its own.
func serve(t testing.TB, src *admintest.Source, o admin.Options) string {
	t.Helper()
	server := httptest.NewServer(admin.New(src, o))
	t.Cleanup(server.Close)
	return server.URL
}
