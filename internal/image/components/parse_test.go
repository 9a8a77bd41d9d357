package components

import (
	"strings"
	"testing"
)

// TestParseRefusesUnexplainedRows: what a row must not leave open.
func TestParseRefusesUnexplainedRows(t *testing.T) {
	const good = "- {name: a, is: image, packages: [a], check: a --version, expect: ^a}\n"
	for _, test := range []struct{ name, text, want string }{
		{"good", good, ""},
		{"unknown key", "- {name: a, was: image}", "was"},
		{"twice", good + good, "its name is missing or taken"},
		{"package twice", good + "- {name: b, is: image, packages: [a], check: a, expect: a}", "a is a's already"},
		{"no package", "- {name: a, is: image, check: a, expect: a}", "no package says where"},
		{"no disposition", "- {name: a, check: a, expect: a}", `is ""`},
		{"no check", "- {name: a, is: image, packages: [a], expect: a}", "no check shows"},
		{"no expectation", "- {name: a, is: image, packages: [a], check: a}", "expect must say"},
		{"expects nothing", "- {name: a, is: image, packages: [a], check: a, expect: .*}", "matches an empty output"},
		{"bad expectation", "- {name: a, is: image, packages: [a], check: a, expect: '('}", "missing closing )"},
		{"superseded without a reason", "- {name: a, is: superseded, by: b, check: a, expect: a}", "by and why must say"},
		{"build-only without a reason", "- {name: a, is: build-only, check: a, expect: a}", "why must give"},
		{"build-only with a package", "- {name: a, is: build-only, why: w, packages: [a], check: a, expect: a}", "has no packages"},
		{"operator says nothing", "- {name: a, is: operator, check: a, expect: a}", "as must say"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse([]byte(test.text))
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}
