package machine

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/persist"
)

// booted says what the next boot would have in etc/hosts.
func (b *bench) next(t *testing.T, device string) string {
	t.Helper()
	back := t.TempDir()
	if _, err := persist.Restore(t.Context(), filepath.Join(b.dir, device), back, persist.Prefer{}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(back, "etc/hosts"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// TestRestoreHolds: older settings that wait for the next boot are put out of
// force by no save, until that is called off.
func TestRestoreHolds(t *testing.T) {
	b := newBench(t)
	b.plug(t, "sda4", Label, "aaaa", false)
	if _, err := b.Save(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	b.hosts(t, "second")
	g, err := b.Restore(t.Context(), 1)
	if err != nil || g.Number != 3 {
		t.Fatalf("restored %+v, %v: want what is now to be saved before", g, err)
	}
	b.hosts(t, "third")
	var held *HeldError
	if _, err := b.Save(t.Context(), "shutdown"); !errors.As(err, &held) || !strings.Contains(err.Error(), "generation 1") {
		t.Errorf("a save while others wait: %v", err)
	}
	if got := b.next(t, "/dev/sda4"); got != "first" {
		t.Errorf("the next boot has %q", got)
	}
	if s, err := b.Undo(t.Context()); err != nil || s.Generation.Number != 4 {
		t.Fatalf("called off: %+v, %v", s, err)
	}
	if got := b.next(t, "/dev/sda4"); got != "third" {
		t.Errorf("after it was called off the next boot has %q", got)
	}
	if _, err := b.Undo(t.Context()); err == nil {
		t.Error("called off twice")
	}
	list, err := b.Generations(t.Context())
	if err != nil || len(list) != 4 || !list[0].Current {
		t.Errorf("listed %+v, %v", list, err)
	}
	if b.attached != 0 {
		t.Errorf("%d mounts are left", b.attached)
	}
}

func TestBackupOfAMachine(t *testing.T) {
	b := newBench(t)
	b.plug(t, "sda4", Label, "aaaa", false)
	var file bytes.Buffer
	if g, err := b.Backup(t.Context(), &file); err != nil || g.Number != 1 {
		t.Fatalf("backed up %+v, %v", g, err)
	}
	other := newBench(t)
	other.plug(t, "sda4", Label, "aaaa", false)
	other.hosts(t, "other")
	if _, err := other.Import(t.Context(), bytes.NewReader(file.Bytes()), "array1"); err != nil {
		t.Fatal(err)
	}
	if got := other.next(t, "/dev/sda4"); got != "first" {
		t.Errorf("the next boot has %q", got)
	}
	if _, err := other.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := other.next(t, "/dev/sda4"); got != "" {
		t.Errorf("after a factory reset the next boot has %q", got)
	}
}
