package grub

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
)

// envSize and envHeader are those of GRUB's environment block (lib/envblk.c).
// GRUB rewrites the block in place, so it always has this size.
const (
	envSize   = 1024
	envHeader = "# GRUB Environment Block\n"
)

// Env is what GRUB remembers between boots: the file grubenv.
type Env map[string]string

// Variables of the environment that the configuration reads.
const (
	// EnvDefault is the entry that is booted if nobody chooses: an ID.
	EnvDefault = "saved_entry"
	// EnvNext and EnvTries are for an upgraded slot that is on trial: the
	// entry to boot, and how often yet before EnvDefault is taken again.
	EnvNext, EnvTries = "esos_next", "esos_tries"
	// EnvSettings is SettingsOfSlot if the slot on trial is to have the settings
	// that it last ran with.
	EnvSettings    = "esos_settings"
	SettingsOfSlot = "slot"
)

// ParseEnv reads an environment block.
func ParseEnv(block []byte) (Env, error) {
	text, ok := bytes.CutPrefix(block, []byte(envHeader))
	if !ok {
		return nil, fmt.Errorf("read GRUB's environment: it does not begin with %q", strings.TrimSpace(envHeader))
	}
	env := Env{}
	unescape := strings.NewReplacer(`\\`, `\`, "\\\n", "\n")
	for len(text) > 0 && text[0] != '#' {
		end := 0
		for end < len(text) && text[end] != '\n' {
			if text[end] == '\\' {
				end++ // what follows is part of the value
			}
			end++
		}
		line := string(text[:min(end, len(text))])
		text = text[min(end+1, len(text)):]
		if name, value, ok := strings.Cut(line, "="); ok {
			env[name] = unescape.Replace(value)
		}
	}
	return env, nil
}

// Length is how many bytes of the block hold something.
func (e Env) Length() int {
	b, err := e.text()
	if err != nil {
		return envSize
	}
	return len(b)
}

// Bytes is the block to write.
func (e Env) Bytes() ([]byte, error) {
	b, err := e.text()
	if err != nil {
		return nil, err
	}
	if len(b) > envSize {
		return nil, fmt.Errorf("write GRUB's environment: %d bytes, and there is room for %d", len(b), envSize)
	}
	return append(b, bytes.Repeat([]byte("#"), envSize-len(b))...), nil
}

// text is the block without what fills it up.
func (e Env) text() ([]byte, error) {
	names := make([]string, 0, len(e))
	for name := range e {
		names = append(names, name)
	}
	sort.Strings(names)
	b := []byte(envHeader)
	escape := strings.NewReplacer(`\`, `\\`, "\n", "\\\n")
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "=#\\\n") {
			return nil, fmt.Errorf("write GRUB's environment: %q is no name of a variable", name)
		}
		b = append(b, name+"="+escape.Replace(e[name])+"\n"...)
	}
	return b, nil
}
