// What these pages do besides being pages: they keep themselves up to date, and select all.
// Everything else works without this file.
(() => {
  "use strict";

  const main = document.getElementById("main");
  const live = document.getElementById("live");
  const text = document.getElementById("live-text");
  const hold = document.getElementById("hold");
  const every = Number(main.dataset.refresh) * 1000;
  const patience = 10000; // with a server that does not answer
  let held = false, changed = false, leaving = false, moved = 0, timer = 0, asking = null, seen = main.dataset.now;

  // What an action has said is said once: a reload does not repeat it.
  const here = new URL(location.href);
  if (here.searchParams.has("done")) {
    here.searchParams.delete("done");
    here.searchParams.delete("n");
    history.replaceState(null, "", here);
  }

  // morph makes old like fresh and touches only what differs: focus, selection, scroll
  // position and what has been entered stay.
  function morph(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || key(old) !== key(fresh)) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const a of [...old.attributes]) if (!fresh.hasAttribute(a.name)) old.removeAttribute(a.name);
    for (const a of fresh.attributes) if (old.getAttribute(a.name) !== a.value) old.setAttribute(a.name, a.value);
    morphChildren(old, fresh);
  }

  const key = (n) => n.dataset ? n.dataset.key || n.id : "";

  function morphChildren(old, fresh) {
    const known = new Map();
    for (const n of old.children) if (n.dataset.key) known.set(n.dataset.key, n);
    let at = old.firstChild;
    for (const n of [...fresh.childNodes]) {
      const same = n.dataset && n.dataset.key ? known.get(n.dataset.key) : null;
      if (same && same !== at) old.insertBefore(same, at);
      if (same) at = same;
      if (!at || (!same && (n.dataset && n.dataset.key || at.dataset && at.dataset.key))) {
        old.insertBefore(n, at);
        continue;
      }
      const following = at.nextSibling;
      morph(at, n);
      at = following;
    }
    while (at) {
      const following = at.nextSibling;
      at.remove();
      at = following;
    }
  }

  // busy tells whether somebody is about to do something that a change under the hand would spoil.
  function busy() {
    const at = document.activeElement;
    return main.querySelector("td input:checked") !== null || changed ||
      (Date.now() - moved < every && main.querySelector("button:hover, label:hover") !== null) ||
      (main.contains(at) && at.matches("input:not([type=checkbox]), select, textarea"));
  }

  const clock = (iso) => iso.slice(11, 19);

  function say(words, bad) {
    if (text.textContent !== words) text.textContent = words;
    live.classList.toggle("stale", bad === true);
  }

  async function refresh() {
    asking = new AbortController();
    const limit = setTimeout(() => asking.abort(), patience);
    try {
      const answer = await fetch(location.href, { signal: asking.signal, credentials: "same-origin", headers: { Accept: "text/html" } });
      if (answer.status === 401 || answer.status === 403 || answer.redirected) {
        say("Signed out: load this page again", true);
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("main");
      if (!fresh || !fresh.dataset.page || !answer.ok && answer.status !== 404) throw new Error(String(answer.status));
      if (!shown() || busy()) return; // while the answer was on its way
      morph(main, fresh);
      adopt(page);
      seen = main.dataset.now;
      say("Live " + clock(seen));
    } catch {
      if (!leaving) say("Old: no answer since " + clock(seen), true);
    } finally {
      clearTimeout(limit);
      asking = null;
    }
  }

  // adopt takes over what stands outside of <main>: the tab's name and picture.
  function adopt(page) {
    if (document.title !== page.title) document.title = page.title;
    const icon = document.querySelector("link[rel=icon]"), now = page.querySelector("link[rel=icon]");
    if (icon && now && icon.getAttribute("href") !== now.getAttribute("href")) icon.replaceWith(now);
    enhance();
  }

  const shown = () => document.visibilityState === "visible" && !held;

  function next(wait) {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      if (!shown()) return;
      if (busy()) say("Held while you choose");
      else await refresh();
      if (main.dataset.refresh !== "0") next(every);
    }, wait);
  }

  // enhance shows what only works with a script, and says how many are selected.
  function enhance() {
    const form = document.getElementById("letters");
    if (!form) return;
    const all = form.querySelector("#all"), boxes = [...form.querySelectorAll("td input[type=checkbox]")];
    const picked = boxes.filter((b) => b.checked).length;
    all.closest("label").hidden = false;
    all.checked = picked > 0 && picked === boxes.length;
    all.indeterminate = picked > 0 && picked < boxes.length;
    form.querySelector("#picked").textContent = picked === 1 ? "1 selected:" : picked + " selected:";
    for (const b of form.querySelectorAll(".deeds button")) b.disabled = picked === 0;
  }

  document.addEventListener("change", (e) => {
    if (e.target.id === "all") {
      for (const b of e.target.form.querySelectorAll("td input[type=checkbox]")) b.checked = e.target.checked;
    }
    if (e.target.closest(".filter")) changed = true;
    enhance();
  });

  // A page that comes back from the browser's memory is as old as it was left.
  window.addEventListener("pageshow", (e) => { leaving = false; enhance(); if (every) next(e.persisted ? 0 : every); });
  document.addEventListener("visibilitychange", () => { if (every && shown()) next(0); });
  document.addEventListener("submit", () => { leaving = true; clearTimeout(timer); if (asking) asking.abort(); });
  document.addEventListener("pointermove", () => { moved = Date.now(); }, { passive: true });

  hold.addEventListener("click", () => {
    held = !held;
    hold.setAttribute("aria-pressed", String(held));
    if (held) say("Held at " + clock(seen));
    else next(0);
  });

  enhance();
  if (every) {
    hold.hidden = false;
    say("Live " + clock(seen));
  }
})();
