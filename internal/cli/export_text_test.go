package cli

import (
	"bytes"
	"strings"
	"time"
)

// Reference is docs/cli.md: what help tells of each command.
func Reference() string {
	a := &app{}
	root := a.root()
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, g := range groups {
		b.WriteString("\n| " + strings.TrimSuffix(g.title, ":") + " | |\n|---|---|\n")
		for _, cmd := range root.Commands() {
			if cmd.GroupID == g.id {
				b.WriteString("| [`" + cmd.Name() + "`](#" + cmd.Name() + ") | " + strings.ReplaceAll(cmd.Short, "|", `\|`) + " |\n")
			}
		}
	}
	b.WriteString(referenceServer)
	b.WriteString("\n## Without a command\n\n```text\n" + a.usage(root) + "```\n")
	for _, cmd := range root.Commands() {
		b.WriteString("\n## " + cmd.Name() + "\n\n```text\n" + helpText(cmd) + "```\n")
	}
	return b.String()
}

const referenceHead = `# The command line

This page is made from what ` + "`webhook-repeater help`" + ` prints, by
` + "`go test ./internal/cli -run TestReference -update`" + `. A test runs every example on it against a server.

Without a command, ` + "`webhook-repeater`" + ` is the server. With one, it talks to a running server, over its admin address, or
looks at what is on this machine.
`

const referenceServer = `
## Which server

Commands that talk to a server find it, in this order, by ` + "`--server URL`" + `, by the ` + "`[admin]`" + ` section of a file named with
` + "`-c FILE`" + `, by ` + "`REPEATER_ADMIN`" + `, by ` + "`[admin]`" + ` of ` + "`./config.ini`" + `, or at ` + "`http://127.0.0.1:8101`" + `.

Its token comes from ` + "`--token-file FILE`" + `, from ` + "`REPEATER_TOKEN`" + `, or from the configuration that was named or that gave the
address. It is never on the command line, where other users of the machine could read it, and is never printed.
Over ` + "`http://`" + ` a token is sent in the clear: to another machine, use ` + "`https://`" + ` or a tunnel.

## Output and exit status

Tables are for people: times are relative to now, sizes in KB of 1024 bytes. ` + "`--json`" + ` prints the objects of the API for
programs (` + "`api/v1/openapi.json`" + ` at the admin address describes them). Colours are used on a terminal only, and not if
` + "`NO_COLOR`" + ` is set.

Exit status 0 means done, 1 failed, 2 a mistake in flags, arguments or configuration (of the server: 78, as 2 is also how
a Go program ends that panics). What went wrong is printed in one line on standard error.
`

// What people read.
var (
	Clean   = clean
	Rate    = rate
	Span    = span
	TimeOf  = timeOf
	Quote   = shellWord
	BytesOf = bytesOf[int64]
	Count   = count[int]
)

// Bar is what a progress bar shows when n of total are done after some time.
func Bar(n, total int, after time.Duration) string {
	began := time.Unix(0, 0)
	p := &progress{verb: "replay", total: total, since: began, now: func() time.Time { return began.Add(after) }}
	return p.line(n)
}

// Table prints rows in two steps.
func Table(first, second []string) string {
	var b bytes.Buffer
	t := table{columns: []column{{"NAME", false}, {"N", true}}}
	for _, rows := range [][]string{first, second} {
		for _, r := range rows {
			name, n, _ := strings.Cut(r, " ")
			t.add(cell{text: name}, cell{n, red})
		}
		t.print(&b, false)
	}
	return b.String()
}
