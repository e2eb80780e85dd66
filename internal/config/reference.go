package config

import (
	"fmt"
	"slices"
	"strings"
)

//go:generate go run ./gen ../../docs/configuration.md

// Reference is docs/configuration.md: every key of the table.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	for i := range Sections {
		Sections[i].describe(&b)
	}
	b.WriteString("\n## Keys of each hook\n\nIn a `[hook:NAME]` they hold for that hook, and under `[app]` for every hook that does not set them itself.\n")
	writeKeys(&b, "hook:NAME", eachHook)
	return b.String()
}

const referenceHead = `<!-- Made by "go generate ./internal/config" from the table of keys. Change the table, not this page. -->

# Configuration

Every key in short. [config.ini](../config.ini) explains them at more length, and is the file to start from.

- Times are seconds (` + "`5`, `0.5`" + `) or have a unit (` + "`500ms`, `90s`, `5m`, `1h`" + `). Sizes are bytes or have a unit (` + "`64KB`, `25MB`, `1GB`" + `), of 1024 each.
- Keys marked **secret** need not stand in the file: ` + "`env:NAME`" + ` takes the value from the environment, ` + "`file:PATH`" + ` from a file.
- Keys marked **list** take several values, each on an indented line of its own.
- SIGHUP or ` + "`--watch`" + ` loads the file again. Keys marked **restart** take effect at the next start only.
- All mistakes are reported at start, with line numbers, and the program exits. A key that does not exist is a mistake.
`

func (s *Section) describe(b *strings.Builder) {
	fmt.Fprintf(b, "\n## [%s]\n\n%s\n", s.Name, s.Doc)
	own := s.Keys
	if n := len(own) - len(eachHook); n >= 0 && slices.ContainsFunc(own, func(k Key) bool { return k.Name == eachHook[0].Name }) {
		own = own[:n]
		b.WriteString("It may also have the keys [of each hook](#keys-of-each-hook).\n")
	}
	writeKeys(b, s.Name, own)
}

func writeKeys(b *strings.Builder, section string, keys []Key) {
	b.WriteString("\n| key | default | value | |\n|---|---|---|---|\n")
	for _, k := range keys {
		byDefault := "none"
		switch {
		case k.Required:
			byDefault = "required"
		case k.Default != "":
			byDefault = "`" + k.Default + "`"
		}
		doc := strings.Join(append([]string{k.Doc}, k.marks(section)...), " ")
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k.Name, byDefault, cell(k.Kind), cell(doc))
	}
}

// marks are what the head of the page explains.
func (k *Key) marks(section string) (marks []string) {
	add := func(is bool, mark string) {
		if is {
			marks = append(marks, "**"+mark+"**")
		}
	}
	add(k.secret, "secret")
	add(k.multi, "list")
	add(slices.ContainsFunc(fixed, func(f fixedKey) bool { return f.key == "["+section+"] "+k.Name }), "restart")
	return marks
}

// cell keeps a text within its cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
