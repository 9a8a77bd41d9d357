package config

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const withAttributes = `version: 1
name: a
id: 6ba7b810-9dad-41d1-80b4-00c04fd430c8
devices:
  - name: d
    handler: dev_tape
    path: 3:0:0:0
    attributes:
      queue_depth: 0x20
      emulate_tas: "no"
targets:
  - name: iqn.2026-11.com.example:a
    attributes: {login_timeout: 030}
    groups:
      - name: g
        initiators: [iqn.2026-11.com.example:h]
        attributes:
          cpu_mask: 1,00000000
`

func TestAttributes(t *testing.T) {
	d, _, err := Parse("esos.yaml", []byte(withAttributes))
	if err != nil {
		t.Fatal(err)
	}
	// Values are text as it is written, whatever YAML would make of it.
	want := map[string]string{"queue_depth": "0x20", "emulate_tas": "no"}
	if diff := cmp.Diff(want, d.Devices[0].Attributes); diff != "" {
		t.Error(diff)
	}
	if got := d.Targets[0].Attributes["login_timeout"] + " " + d.Targets[0].Groups[0].Attributes["cpu_mask"]; got != "030 1,00000000" {
		t.Errorf("read %q", got)
	}
	text, err := Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := Parse("again", text)
	if diff := cmp.Diff(d, again); err != nil || diff != "" {
		t.Errorf("written and read again: %v\n%s\n%s", err, diff, text)
	}
	c := d.Clone()
	for _, m := range []map[string]string{c.Devices[0].Attributes, c.Targets[0].Attributes, c.Targets[0].Groups[0].Attributes} {
		maps.DeleteFunc(m, func(string, string) bool { return true })
	}
	if d.Devices[0].Attributes["queue_depth"] == "" || len(d.Targets[0].Attributes)+len(d.Targets[0].Groups[0].Attributes) != 2 {
		t.Error("a clone has the same attributes, not equal ones")
	}
	c.Devices[0].Attributes = map[string]string{"queue_depth": "64"}
	var lines []string
	for _, change := range Diff(d, c) {
		lines = append(lines, change.String())
	}
	if diff := cmp.Diff([]string{
		"~ device/d\n    attributes[queue_depth]: 0x20 -> 64\n    attributes[emulate_tas]: no -> (default)",
		"~ target/iqn.2026-11.com.example:a\n    attributes[login_timeout]: 030 -> (default)",
		"~ group/iqn.2026-11.com.example:a/g\n    attributes[cpu_mask]: 1,00000000 -> (default)",
	}, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAttributesThatAreRefused(t *testing.T) {
	for entry, want := range map[string]string{
		"../wwn/vendor_id: x":            "10:", // line and column
		"a/../b: x":                      "another place",
		"/etc/passwd: x":                 "another place",
		"a//b: x":                        "another place",
		".: x":                           "another place",
		"\"\": x":                        "is no name",
		"a b: x":                         "letters, digits",
		"\"a\\0b\": x":                   "letters, digits",
		"ä: x":                           "letters, digits",
		"a:":                             "missing",
		"a: \"\"":                        "missing",
		"a: \"x\\ny\"":                   "on one line",
		"a: \"ü\"":                       "printable ASCII",
		"a: \" x\"":                      "blanks around",
		"a: [x]":                         "must be text",
		strings.Repeat("a", 256) + ": x": "longer than 255 bytes",
		"a: " + strings.Repeat("x", 256): "longer than 255 bytes",
	} {
		text := strings.Replace(withAttributes, "emulate_tas: \"no\"", entry, 1)
		if _, _, err := Parse("esos.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "devices[0].attributes[") {
			t.Errorf("%s: %v, want %q", entry, err, want)
		}
	}
	text := strings.Replace(withAttributes, "{login_timeout: 030}", "[x]", 1)
	if _, _, err := Parse("x", []byte(text)); err == nil || !strings.Contains(err.Error(), "mapping of names to text") {
		t.Errorf("a list: %v", err)
	}
}
