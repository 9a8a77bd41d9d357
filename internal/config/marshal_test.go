package config

import (
	"testing"

	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

// Any text comes back as it was written, for us and for other readers of YAML.
func TestTextComesBack(t *testing.T) {
	odd := []string{"", " ", "true", "No", "~", "null", "0123", "1e5", "0x10", "a: b", "a #b", "a:", "- a", "*a", "&a", "!a", "%a", "@a", "`", "'", `"`, `\`,
		"a\nb", "\x00", "\x7f", "\u0085", "\u2028", "\ufeff", "\U0001F4BE", "ä", "=", "<<", "10GiB", "2026-11-23", "?", "[a]", "{a}", "a,b", "iqn.2026-11.com.example:a"}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.SampledFrom(odd), rapid.String()).Draw(t, "text")
		out, err := Marshal(&Document{Version: 1, Name: text, Targets: []Target{{Name: "t", Portals: []string{text, "x"}}}})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := Decode("text", out)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if doc.Name != text || len(doc.Targets[0].Portals) != 2 || doc.Targets[0].Portals[0] != text {
			t.Fatalf("%q came back as %q\n%s", text, doc.Name, out)
		}
		var other struct{ Name any }
		if err := yaml.Load(out, &other); err != nil {
			t.Fatal(err)
		}
		if other.Name != text {
			t.Fatalf("%q is %v (%T) for another reader\n%s", text, other.Name, other.Name, out)
		}
	})
	if _, err := Marshal(&Document{Name: "\xff"}); err == nil {
		t.Error("text that is no UTF-8 was written")
	}
}
