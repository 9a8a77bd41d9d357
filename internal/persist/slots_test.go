package persist

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// saveAs saves etc/hosts with a text as the system in a slot does.
func saveAs(t *testing.T, dir, slot, text string, keep int) Saved {
	t.Helper()
	upper := t.TempDir()
	fill(t, upper, map[string]string{"etc/hosts": text})
	s, err := Save(t.Context(), dir, upper, Options{Slot: slot, Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func restoredAs(t *testing.T, dir, slot string) (string, Restored) {
	t.Helper()
	upper := t.TempDir()
	r, err := Restore(t.Context(), dir, upper, Prefer{Slot: slot})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(upper, "etc/hosts"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text), r
}

// TestSlotsRemember: a slot finds what it last ran with, however much the
// other one saves after it.
func TestSlotsRemember(t *testing.T) {
	dir := t.TempDir()
	saveAs(t, dir, "PRIMARY", "old", 2)
	for _, text := range []string{"new1", "new2", "new3", "new4"} {
		saveAs(t, dir, "SECONDARY", text, 2)
	}
	if got, r := restoredAs(t, dir, ""); got != "new4" || len(r.Skipped) > 0 {
		t.Errorf("without a wish: %q, %+v", got, r)
	}
	if got, r := restoredAs(t, dir, "PRIMARY"); got != "old" || len(r.Skipped) > 0 {
		t.Errorf("PRIMARY: %q, %+v", got, r)
	}
	list, err := Inspect(dir)
	if err != nil || len(list) != 3 {
		t.Fatalf("listed: %+v, %v", list, err)
	}
	if l := list[0]; !l.Current || len(l.Slots) != 1 || l.Slots[0] != "SECONDARY" || l.Damage != "" {
		t.Errorf("the newest: %+v", l)
	}
	if l := list[2]; l.Current || l.Number != 1 || len(l.Slots) != 1 || l.Slots[0] != "PRIMARY" {
		t.Errorf("the oldest: %+v", l)
	}
	// The old system runs again with what is newest, and changes nothing.
	same := t.TempDir()
	if _, err := Restore(t.Context(), dir, same, Prefer{}); err != nil {
		t.Fatal(err)
	}
	if s, err := Save(t.Context(), dir, same, Options{Slot: "PRIMARY", Keep: 2}); err != nil || !s.Unchanged {
		t.Errorf("saved again: %+v, %v", s, err)
	}
	if got, _ := restoredAs(t, dir, "PRIMARY"); got != "new4" {
		t.Errorf("PRIMARY after it ran with the newest: %q", got)
	}
}

// TestSlotsMemoryIsAHint: whatever is wrong with it, the newest good settings
// come back, and it is said.
func TestSlotsMemoryIsAHint(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"missing": func(dir string) error { return os.Remove(filepath.Join(dir, slotsName)) },
		"torn":    func(dir string) error { return os.Truncate(filepath.Join(dir, slotsName), 9) },
		"directory": func(dir string) error {
			os.Remove(filepath.Join(dir, slotsName))
			return os.Mkdir(filepath.Join(dir, slotsName), 0o700)
		},
		"generation gone": func(dir string) error {
			return errors.Join(os.Remove(shelf{dir: dir}.path(1, archiveSuffix)), os.Remove(shelf{dir: dir}.path(1, recordSuffix)))
		},
		"generation damaged": func(dir string) error { return os.Truncate(shelf{dir: dir}.path(1, archiveSuffix), 5) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			saveAs(t, dir, "PRIMARY", "old", 0)
			saveAs(t, dir, "SECONDARY", "new", 0)
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			if got, r := restoredAs(t, dir, "PRIMARY"); got != "new" || len(r.Skipped) != 1 {
				t.Errorf("%q came back: %+v", got, r)
			}
			if name == "directory" {
				return // a medium that was tampered with; the save says so
			}
			saveAs(t, dir, "PRIMARY", "newer", 0)
			if got, _ := restoredAs(t, dir, "PRIMARY"); got != "newer" {
				t.Errorf("after the next save: %q", got)
			}
		})
	}
}

func TestBring(t *testing.T) {
	dir := t.TempDir()
	saveAs(t, dir, "PRIMARY", "old", 0)
	saveAs(t, dir, "PRIMARY", "new", 0)
	g, err := Bring(dir, 1, Options{Reason: "back"})
	if err != nil || g.Number != 3 || g.Reason != "back" {
		t.Fatalf("brought %+v, %v", g, err)
	}
	if got, r := restoredAs(t, dir, ""); got != "old" || r.Generation.Number != 3 {
		t.Errorf("%q came back: %+v", got, r)
	}
	if _, err := Bring(dir, 7, Options{}); !errors.Is(err, ErrNoGeneration) {
		t.Errorf("one that is not there: %v", err)
	}
	if err := os.Truncate(shelf{dir: dir}.path(2, archiveSuffix), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := Bring(dir, 2, Options{}); err == nil {
		t.Error("a damaged one was brought back")
	}
	if got, _ := restoredAs(t, dir, ""); got != "old" {
		t.Errorf("after a refusal %q came back", got)
	}
}

// TestFullWithSlots: a slot's way back makes room last of all, and that is
// told; what is newest stays.
func TestFullWithSlots(t *testing.T) {
	dir, newer := inMemory(t), t.TempDir()
	saveAs(t, dir, "PRIMARY", "old", 0)
	saveAs(t, dir, "SECONDARY", "between", 0)
	saveAs(t, dir, "SECONDARY", "before", 0)
	fill(t, newer, map[string]string{"etc/hosts": "new"})
	s, err := save(t.Context(), &flaky{free: []int64{0}}, dir, newer, Options{Slot: "SECONDARY"})
	if err != nil || !slices.Equal(s.Pruned, []int{2}) || len(s.Warnings) > 0 {
		t.Fatalf("short of room: %+v, %v", s, err)
	}
	fill(t, newer, map[string]string{"etc/hosts": "newer"})
	s, err = save(t.Context(), &flaky{free: []int64{0, 0}}, dir, newer, Options{Slot: "SECONDARY"})
	if err != nil || !slices.Equal(s.Pruned, []int{3, 1}) || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "slot PRIMARY last ran with") {
		t.Fatalf("very short of room: %+v, %v", s, err)
	}
	if got, r := restoredAs(t, dir, "PRIMARY"); got != "newer" || len(r.Skipped) != 1 {
		t.Errorf("%q came back: %+v", got, r)
	}
}
