package archtest

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryPackageSaysWhatItIsFor wants a package comment of a sentence.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for path, p := range load(t) {
		var doc string
		for _, f := range p.Syntax {
			if f.Doc != nil {
				doc += f.Doc.Text()
			}
		}
		if len(strings.Fields(doc)) < 5 {
			t.Errorf("package %s has no doc comment that says what it is for", path)
		}
	}
}

// TestPackagesAreNamedForWhatTheyProvide refuses names that say nothing.
func TestPackagesAreNamedForWhatTheyProvide(t *testing.T) {
	for path, p := range load(t) {
		switch p.Name {
		case "util", "utils", "common", "helper", "helpers", "manager", "misc", "base", "shared", "lib":
			t.Errorf("package %s: a name that does not say what it provides", path)
		}
	}
}

// TestFilesStayShort: one idea a file. The limit leaves some room above the
// 500 lines that CONTRIBUTING.md asks for.
func TestFilesStayShort(t *testing.T) {
	const limit = 600
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == ".cache" || d.Name() == "var") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		n, err := countLines(path)
		if err == nil && n > limit {
			t.Errorf("%s has %d lines, more than %d: it holds more than one idea", path, n, limit)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func countLines(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		n++
	}
	return n, nil
}
