package alert

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/host/smart"
)

// page is a kept book.
type page map[string]smart.Entry

func (p page) ReadFile(string) ([]byte, error)      { return json.Marshal(map[string]smart.Entry(p)) }
func (page) Save(string, []byte, fs.FileMode) error { return fs.ErrPermission }
func (p page) with(key string, e smart.Entry) page  { p[key] = e; return p }
func (p page) read(t *testing.T, b *smart.Book)     { t.Helper(); fatal(t, b.Load(p, "")) }
func entry(pending int64, change func(*smart.Entry)) smart.Entry {
	e := smart.Entry{Disk: "ata-1", Health: smart.Health{Passed: new(true), Pending: &pending}}
	if change != nil {
		change(&e)
	}
	return e
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDisks(t *testing.T) {
	var events []string
	board := NewBoard(func(kind, object, _ string) { events = append(events, kind+" "+object) })
	book := &smart.Book{}
	rule := &Disks{Book: book}
	check := func(e smart.Entry) {
		t.Helper()
		page{}.with("WD 1", e).read(t, book)
		fatal(t, rule.Check(t.Context(), board))
	}
	check(entry(0, nil))
	check(entry(8, nil))
	check(entry(16, nil)) // it grows: nobody is told again
	if a := board.Active(); len(a) != 1 || a[0].Severity != Warning || !strings.Contains(a[0].Message, "16 sectors cannot be read") {
		t.Errorf("%+v", a)
	}
	check(entry(16, func(e *smart.Entry) { e.Passed = new(false) }))
	if a := board.Active(); len(a) != 2 || a[0].Severity != Critical || !strings.Contains(a[0].Message, "Replace it now") {
		t.Errorf("%+v", a)
	}
	check(entry(0, nil))
	if want := []string{"disk.errors.WD_1 disk/ata-1", "disk.failing.WD_1 disk/ata-1", "disk.ok disk/ata-1", "disk.ok disk/ata-1"}; !slices.Equal(events, want) {
		t.Errorf("%q, want %q", events, want)
	}
}
