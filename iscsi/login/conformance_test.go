package login

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestConformanceTable: docs/rfc7143.md names no test and no function that does
// not exist.
func TestConformanceTable(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "rfc7143.md"))
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^(?:func (?:\([^)]*\) )?|type )(\w+)`)
	for _, d := range declaration.FindAllStringSubmatch(read(t, "*.go", "../*.go", "../wire/*.go"), -1) {
		declared[d[1]] = true
	}
	scripts := read(t, "testdata/*.txt")
	rows := 0
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || len(cells) < 3 || strings.HasPrefix(line, "|---") || cells[len(cells)-1] == " test " {
			continue
		}
		rows++
		functions, tests := cells[len(cells)-2], cells[len(cells)-1]
		named := regexp.MustCompile("`([A-Za-z]+)`").FindAllStringSubmatch(functions+tests, -1)
		quoted := regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(tests, -1)
		for _, n := range named {
			if !declared[n[1]] {
				t.Errorf("there is no %s: %s", n[1], line)
			}
		}
		for _, q := range quoted {
			if !strings.Contains(scripts, "== "+q[1]+"\n") {
				t.Errorf("there is no script %q: %s", q[1], line)
			}
		}
		if len(named)+len(quoted) < 2 && !strings.Contains(tests, "all scripts") {
			t.Errorf("no test: %s", line)
		}
	}
	if rows < 60 {
		t.Errorf("%d rows were read", rows)
	}
}

// read returns the text of all files that the patterns match.
func read(t *testing.T, patterns ...string) string {
	t.Helper()
	var b strings.Builder
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			p, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(p)
		}
	}
	return b.String()
}
