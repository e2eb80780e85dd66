package browsertest_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/admin/admintest"
)

// view is a page with something on it.
type view struct {
	name, path string
	src        *admintest.Source
	opts       admin.Options
	press      string
}

func views(now time.Time) []view {
	busy, million := admintest.Busy(now), admintest.Million(now)
	open := admin.Options{ShowPayloads: true, Version: "1.0.0"}
	closed := admin.Options{Version: "1.0.0"}
	message := func(n int) string { return "/message?id=" + admintest.ID(n) }
	lane := func(name string) string { return "/lane?" + url.Values{"name": {name}}.Encode() }
	down := admintest.Busy(now)
	down.Sick = []string{"The store has not answered for 40 s: dial tcp 127.0.0.1:6379: connection refused."}
	broken := &admintest.Source{Fail: fmt.Errorf("dial tcp 127.0.0.1:6379: connection refused")}
	const refusing, unwell = "https://hooks.partner.example:443", "https://jira.intranet.example:8443"
	return []view{
		{name: "overview", path: "/", src: busy, opts: open},
		{name: "overview-calm", path: "/", src: admintest.Calm(), opts: open},
		{name: "overview-empty", path: "/", src: &admintest.Source{}, opts: open},
		{name: "overview-million", path: "/", src: million, opts: open},
		{name: "overview-down", path: "/", src: down, opts: open},
		{name: "lane-unwell", path: lane(unwell), src: busy, opts: open},
		{name: "lane-refusing", path: lane(refusing), src: busy, opts: open},
		{name: "lane-paused", path: lane("http://legacy-soap-bridge.internal:8081"), src: busy, opts: open},
		{name: "lane-behind", path: lane("https://warehouse.example:443"), src: busy, opts: open},
		{name: "lane-well", path: lane("https://wiki.example:443"), src: busy, opts: open},
		{name: "lane-million", path: lane(unwell), src: million, opts: open},
		{name: "message", path: message(0), src: busy, opts: open},
		{name: "message-hidden", path: message(0), src: busy, opts: closed},
		{name: "message-binary", path: message(3), src: busy, opts: open},
		{name: "message-large", path: message(4), src: busy, opts: open},
		{name: "message-dead", path: message(1002), src: busy, opts: open},
		{name: "message-gone", path: message(99999), src: busy, opts: open},
		{name: "dead", path: "/dead", src: busy, opts: open},
		{name: "dead-filtered", path: "/dead?status=410&lane=" + url.QueryEscape(refusing), src: busy, opts: open},
		{name: "dead-none", path: "/dead?status=300", src: busy, opts: open},
		{name: "dead-empty", path: "/dead", src: admintest.Calm(), opts: open},
		{name: "confirm-drop", path: "/dead", src: busy, opts: open, press: ".every .danger"},
		{name: "confirm-refused", path: lane(refusing), src: busy, opts: open, press: ".actions .danger"},
		{name: "notice", path: lane("https://wiki.example:443"), src: busy, opts: open, press: ".actions button"},
		{name: "broken", path: "/", src: broken, opts: open},
	}
}

// tooPale finds texts that have too little contrast with their ground (WCAG AA: 4.5, and 3 for large ones).
const tooPale = `(() => {
	const pad = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgba = (c) => { pad.clearRect(0, 0, 1, 1); pad.fillStyle = c; pad.fillRect(0, 0, 1, 1); return [...pad.getImageData(0, 0, 1, 1).data]; };
	const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
	const ground = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255]; };
	const bad = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (texts.nextNode()) {
		const text = texts.currentNode.nodeValue.trim(), e = texts.currentNode.parentElement;
		if (!text || e.closest("svg, .unseen, .skip, [hidden], option, :disabled")) continue;
		const style = getComputedStyle(e), a = light(rgba(style.color)), b = light(ground(e));
		const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05), size = parseFloat(style.fontSize);
		const large = size >= 24 || size >= 18.66 && Number(style.fontWeight) >= 700;
		if (contrast < (large ? 3 : 4.5)) bad.push(text.slice(0, 40) + " " + contrast.toFixed(2) + " " + style.color);
	}
	return bad;
})()`

// unnamed finds what a screen reader could not name, headings out of order, and ids that are there twice.
const unnamed = `(() => {
	const bad = [];
	for (const e of document.querySelectorAll("input:not([type=hidden]), select")) if (!e.labels.length && !e.ariaLabel) bad.push("no label: " + e.outerHTML);
	for (const e of document.querySelectorAll("a, button")) if (!(e.innerText || e.textContent || e.ariaLabel || "").trim()) bad.push("no name: " + e.outerHTML);
	for (const e of document.querySelectorAll("table")) if (!e.caption || !e.querySelector("th[scope=col]")) bad.push("no caption or no scope: " + e.className);
	for (const e of document.querySelectorAll("svg")) if (e.getAttribute("aria-hidden") !== "true" && !e.ariaLabel) bad.push("no name: " + e.outerHTML.slice(0, 80));
	for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) for (const a of ["aria-labelledby", "aria-describedby"]) if (e.hasAttribute(a) && !document.getElementById(e.getAttribute(a))) bad.push("leads nowhere: " + a + " " + e.getAttribute(a));
	let level = 0;
	for (const h of document.querySelectorAll("h1, h2, h3")) { const n = Number(h.tagName[1]); if (n > level + 1) bad.push("heading skips a level: " + h.textContent); level = n; }
	if (document.querySelectorAll("h1").length !== 1) bad.push("not one h1");
	for (const tag of ["header", "nav", "main", "footer", "[role=search]"]) if (document.querySelectorAll("body " + tag).length < 1) bad.push("no " + tag);
	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) bad.push("twice: " + id);
	return bad;
})()`

// tooWide finds what stands out of the window to the right.
const tooWide = `(() => {
	if (document.documentElement.scrollWidth <= innerWidth) return [];
	return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.tagName + "." + e.className).slice(0, 5)
		.concat("the page is " + document.documentElement.scrollWidth + " wide");
})()`

// TestLooks opens every page in a wide and a narrow window, light and dark: it fits, can be read by eye and by ear,
// and loads and runs nothing that it may not. REPEATER_SHOTS names a folder for pictures of it all.
func TestLooks(t *testing.T) {
	b := open(t)
	for _, v := range views(time.Now()) {
		base := serve(t, v.src, v.opts)
		for _, width := range []int64{1280, 820, 390} {
			for _, scheme := range []string{"light", "dark"} {
				if width == 820 && scheme == "dark" {
					continue // its colours are those of the others
				}
				t.Run(fmt.Sprintf("%s-%d-%s", v.name, width, scheme), func(t *testing.T) {
					b.t = t
					b.do(chromedp.EmulateViewport(width, 900))
					b.prefer(scheme)
					b.visit(base + v.path)
					if v.press != "" {
						b.leads(v.press)
					}
					for what, script := range map[string]string{"contrast": tooPale, "names": unnamed, "width": tooWide} {
						for _, bad := range eval[[]string](b, script) {
							t.Errorf("%s: %s", what, bad)
						}
					}
					b.wantPeace("404 (Not Found)", "503 (Service Unavailable)")
					b.shoot(fmt.Sprintf("%s-%d-%s", v.name, width, scheme))
				})
			}
		}
	}
}

func (b *browser) prefer(scheme string) {
	b.t.Helper()
	params := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, params); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("REPEATER_SHOTS")
	if dir == "" {
		return
	}
	b.await(`document.getAnimations().length === 0`) // colours fade into those of the other scheme
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// pictures shoots the page wide and narrow, light and dark, where pictures are asked for.
func (b *browser) pictures(name string) {
	b.t.Helper()
	if os.Getenv("REPEATER_SHOTS") == "" {
		return
	}
	for _, width := range []int64{1280, 390} {
		for _, scheme := range []string{"dark", "light"} {
			b.do(chromedp.EmulateViewport(width, 900))
			b.prefer(scheme)
			b.shoot(fmt.Sprintf("%s-%d-%s", name, width, scheme))
		}
	}
	b.do(chromedp.EmulateViewport(1280, 900))
}
