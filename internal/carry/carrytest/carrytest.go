// Package carrytest holds a format to what every format promises: that what is
// read, written and read again is the same document.
package carrytest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/config"
)

// Format reads a file as a document, and writes a document as a file.
type Format interface {
	Recognises(text []byte) bool
	Read(name string, text []byte) (*carry.Import, error)
	Write(d *config.Document, o carry.Options) (*carry.Export, error)
}

// Files reads the files of real-looking arrays that pattern matches, least of
// them at the least. Beside each, with the suffix .golden, are the document that
// it becomes and what was left, line by line; and what is written of the
// document is read as the same document.
func Files(t *testing.T, f Format, pattern string, least int, update bool) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) < least {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !f.Recognises(text) {
				t.Error("it is not recognised")
			}
			first, err := f.Read(file, text)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, filepath.Ext(file))+".golden", first, update)
			Fixed(t, f, first)
		})
	}
}

// golden compares a document and what was left with a file.
func golden(t *testing.T, file string, i *carry.Import, update bool) {
	t.Helper()
	yaml, err := config.Marshal(i.Document)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.Write(yaml)
	b.WriteString("---\n")
	for _, l := range i.Left {
		if l.Missed {
			b.WriteString("! ")
		} else {
			b.WriteString("  ")
		}
		b.WriteString(l.String() + "\n")
	}
	if update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("%s differs; run go test -update if that is meant (-want +got):\n%s", file, d)
	}
}

// Fixed wants that what is written of a document is read as that document, and
// written again as the same text.
func Fixed(t *testing.T, f Format, first *carry.Import) {
	t.Helper()
	written, err := f.Write(first.Document, carry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range written.Left {
		t.Errorf("what came from such a file cannot be written back: %s", l)
	}
	again, err := f.Read("again", written.Text)
	if err != nil {
		t.Fatalf("%v\nin:\n%s", err, written.Text)
	}
	if d := cmp.Diff(plain(first.Document), plain(again.Document)); d != "" {
		t.Fatalf("read, written and read again it differs (-first +again):\n%s\nwritten:\n%s", d, written.Text)
	}
	twice, err := f.Write(again.Document, carry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(written.Text), string(twice.Text)); d != "" {
		t.Errorf("written twice it differs:\n%s", d)
	}
}

// plain is a document's YAML, secrets included: an empty list is no list.
func plain(d *config.Document) string {
	text, err := config.Marshal(d)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Fuzz reads anything, beginning with the files that pattern matches: nothing
// panics, and what is taken is a valid document that Fixed holds for.
func Fuzz(f *testing.F, format Format, pattern string) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		format.Recognises(text)
		first, err := format.Read("fuzz", text)
		if err != nil {
			return
		}
		if err := first.Document.Validate().Err(); err != nil {
			t.Fatalf("not valid: %v", err)
		}
		Fixed(t, format, first)
	})
}

// Back writes a document of a file of ours, and reads what was written.
func Back(t *testing.T, f Format, file string) (doc *config.Document, out *carry.Export, again *config.Document) {
	t.Helper()
	doc, _, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := config.Complete(doc, nil); err != nil {
		t.Fatal(err)
	}
	if out, err = f.Write(doc, carry.Options{DataDir: "/var/lib/esos"}); err != nil {
		t.Fatal(err)
	}
	i, err := f.Read(file, out.Text)
	if err != nil {
		t.Fatalf("%s: %v\n%s", file, err, out.Text)
	}
	Fixed(t, f, i)
	return doc, out, i.Document
}
