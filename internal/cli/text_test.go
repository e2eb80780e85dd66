package cli_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/cli"
)

var update = flag.Bool("update", false, "write docs/cli.md anew")

// TestReference: docs/cli.md tells what help tells.
func TestReference(t *testing.T) {
	t.Parallel()
	const path = "../../docs/cli.md"
	want := cli.Reference()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("run this test with -update; -want +got:\n%s", diff)
	}
}

// TestNumbers are told as people read them.
func TestNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := cli.Count(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 KB", 1536: "1.5 KB", 150 << 10: "150 KB", 25 << 20: "25.0 MB", 3 << 40: "3.0 TB", 3 << 50: "3072 TB"} {
		if got := cli.BytesOf(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "0 s", 0: "0 s", 89 * time.Second: "89 s", 90 * time.Second: "1 min",
		89 * time.Minute: "89 min", 47 * time.Hour: "47 h", 72 * time.Hour: "3 d"} {
		if got := cli.Span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for _, tt := range []struct {
		series []float64
		want   string
	}{
		{nil, "0"}, {[]float64{0, 0}, "0"}, {[]float64{100, 100, 0, 0, 0, 0, 0, 0}, "0"}, {[]float64{0.1, 0}, "<0.1"}, {[]float64{1, 2}, "1.5"}, {[]float64{1234.5}, "1,235"},
	} {
		if got := cli.Rate(tt.series); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.series, got, tt.want)
		}
	}
}

// TestHostileText cannot move a cursor, nor leave its word in a shell.
func TestHostileText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"żółć":                       "żółć",
		"a\x1b[2Jb\nc\td":            `a\x1b[2Jb\nc\td`,
		"a\u202eb\u009bc":            `a\u202eb\u009bc`,
		"http://a:80 own":            "http://a:80 own",
		"bad " + string([]byte{255}): `bad \ufffd`,
	} {
		if got := cli.Clean(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"http://a:80":     "http://a:80",
		"http://a:80 own": "'http://a:80 own'",
		"$(x)'y":          `'$(x)'\''y'`,
		"":                "''",
	} {
		if got := cli.Quote(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestTimes are told as so long ago, as a day, or to the second.
func TestTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	local := func(s string) time.Time {
		at, err := time.ParseInLocation("2006-01-02 15:04", s, time.Local)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for text, want := range map[string]time.Time{
		"":                          {},
		"2h":                        now.Add(-2 * time.Hour),
		"90s":                       now.Add(-90 * time.Second),
		"3d":                        now.Add(-72 * time.Hour),
		"2026-01-30":                local("2026-01-30 00:00"),
		"2026-01-30 15:04":          local("2026-01-30 15:04"),
		"2026-01-30 15:04:00":       local("2026-01-30 15:04"),
		"2026-01-30T15:04:00+02:00": time.Date(2026, 1, 30, 13, 4, 0, 0, time.UTC),
	} {
		if got, err := cli.TimeOf("--since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"soon", "-2h", "d", "-1d", "99999d", "2026-02-30", "15:04"} {
		if got, err := cli.TimeOf("--since", text, now); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

// TestBar moves, and tells how long it will take once that can be said.
func TestBar(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n, total int
		after    time.Duration
		want     string
	}{
		{0, 3000, 0, "replay [..............................] 0 of 3,000"},
		{1000, 3000, time.Second, "replay [##########....................] 1,000 of 3,000"},
		{1000, 3000, 10 * time.Second, "replay [##########....................] 1,000 of 3,000, 20 s left"},
		{3000, 3000, 30 * time.Second, "replay [##############################] 3,000 of 3,000"},
		{4000, 3000, 30 * time.Second, "replay [##############################] 3,000 of 3,000"},
		{4000, -1, 30 * time.Second, "replay: 4,000"},
		{0, 0, 0, "replay: 0"},
	} {
		if got := cli.Bar(tt.n, tt.total, tt.after); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

// TestTable aligns what comes in several pages.
func TestTable(t *testing.T) {
	t.Parallel()
	want := "NAME     N\nż        1\nlonger  20\nx         3\nlongest   4\n"
	if got := cli.Table([]string{"ż 1", "longer 20"}, []string{"x 3", "longest 4"}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
