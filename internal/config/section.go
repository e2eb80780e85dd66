package config

import (
	"slices"

	"github.com/webhook-repeater/repeater/internal/ini"
)

// LoadKeys reads some keys of one section, whatever else is in the file: who only wants to know where a
// server is need not have its secrets. Other settings have their defaults. Given tells which of the keys
// the file has; the error has one line for each mistake in them.
func LoadKeys(path, section string, keys ...string) (s *Settings, given map[string]bool, err error) {
	text, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	file, _ := ini.Parse(text)
	r := reader{fields: defaults(), name: path, lines: make(map[string]int)}
	sec, given := find(section), make(map[string]bool)
	for i := range file.Sections {
		in := &file.Sections[i]
		if in.Name != section || in.Repeated || sec == nil {
			continue
		}
		for _, k := range in.Keys {
			if slices.Contains(keys, k.Name) {
				r.key(sec, in, k)
				given[k.Name] = true
			}
		}
		if name, ok := hookName(section); ok {
			r.hook.Name = name
			r.Hooks = append(r.Hooks, *r.hook)
		}
	}
	if len(r.mistakes) > 0 {
		return nil, nil, r.err()
	}
	return r.Settings, given, nil
}
