package saveconfig_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/carry/saveconfig"
	"github.com/esos-project/esos/internal/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestFiles reads the files of real-looking arrays. Beside each are the
// document that it becomes and what was left, line by line; and what is
// written of the document is read as the same document.
func TestFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !(saveconfig.Format{}).Recognises(text) {
				t.Error("it is not recognised")
			}
			first, err := saveconfig.Format{}.Read(file, text)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".json")+".golden", first)
			fixed(t, first)
		})
	}
}

// golden compares a document and what was left with a file.
func golden(t *testing.T, file string, i *carry.Import) {
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
	if *update {
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

// fixed wants that what is written of a document is read as that document, and
// written again as the same text.
func fixed(t *testing.T, first *carry.Import) {
	t.Helper()
	written, err := saveconfig.Format{}.Write(first.Document, carry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range written.Left {
		t.Errorf("what came from such a file cannot be written back: %s", l)
	}
	again, err := saveconfig.Format{}.Read("again", written.Text)
	if err != nil {
		t.Fatalf("%v\nin:\n%s", err, written.Text)
	}
	if d := cmp.Diff(plain(first.Document), plain(again.Document)); d != "" {
		t.Fatalf("read, written and read again it differs (-first +again):\n%s\nwritten:\n%s", d, written.Text)
	}
	twice, err := saveconfig.Format{}.Write(again.Document, carry.Options{})
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

func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		(saveconfig.Format{}).Recognises(text)
		first, err := saveconfig.Format{}.Read("fuzz", text)
		if err != nil {
			return
		}
		if err := first.Document.Validate().Err(); err != nil {
			t.Fatalf("not valid: %v", err)
		}
		fixed(t, first)
	})
}
