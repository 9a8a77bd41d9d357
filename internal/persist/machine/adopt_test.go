package machine

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/persist"
)

// stick is a medium of four partitions, as the kernel shows it.
func (b *bench) stick(t *testing.T, disk, uuid string) {
	t.Helper()
	for n, label := range []string{"ESOS_BOOT", "esos_root", Label, "esos_logs"} {
		name := disk + string(rune('2'+n))
		b.plug(t, name, label, uuid, false)
		// A partition's directory is below its disk's.
		real := filepath.Join(b.sys, "devices", disk, name)
		if err := os.MkdirAll(filepath.Dir(real), 0o755); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(b.sys, "class/block", name)
		if err := errors.Join(os.Rename(link, real), os.Symlink(real, link), os.WriteFile(filepath.Join(real, "size"), []byte("2048\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bench) pullStick(t *testing.T, disk string) {
	t.Helper()
	for _, n := range "2345" {
		b.pull(t, disk+string(n))
	}
	if err := os.RemoveAll(filepath.Join(b.sys, "devices", disk)); err != nil {
		t.Fatal(err)
	}
}

// adopting is a machine whose medium, sda, can be lost.
func adopting(t *testing.T, id string) *bench {
	t.Helper()
	b := newBench(t)
	b.fatUUID, b.report = b.uuid, filepath.Join(b.dir, "boot.json")
	report := `{"mode":"memory","slot":"PRIMARY","warnings":["stays"],"medium":{"device":"/dev/sda","model":"gone","uuid":"aaaa",
		"partitions":{"esos_conf":{"device":"/dev/sda4","uuid":"aaaa"}}}}`
	if err := errors.Join(os.WriteFile(b.report, []byte(report), 0o600), os.WriteFile(b.id, []byte(id+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	b.stick(t, "sda", "aaaa")
	return b
}

func TestAdopt(t *testing.T) {
	b := adopting(t, "11111111111111111111111111111111")
	if _, err := b.Save(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Adopt(t.Context(), true); err == nil || !strings.Contains(err.Error(), "nothing is to be adopted") {
		t.Errorf("the medium is there, and another is adopted: %v", err)
	}
	if _, err := b.Restore(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	b.pullStick(t, "sda")
	if _, _, err := b.Adopt(t.Context(), false); err == nil || !strings.Contains(err.Error(), "mkesos write") {
		t.Errorf("without another medium: %v", err)
	}
	b.stick(t, "sdb", "bbbb")
	b.stick(t, "sdc", "cccc")
	if _, _, err := b.Adopt(t.Context(), false); err == nil || !strings.Contains(err.Error(), "/dev/sdb4, /dev/sdc4") {
		t.Errorf("several media: %v", err)
	}
	b.pullStick(t, "sdc")
	b.hosts(t, "meanwhile")
	device, saved, err := b.Adopt(t.Context(), false)
	if err != nil || device != "/dev/sdb4" || saved.Generation.Number != 1 {
		t.Fatalf("adopted %s: %+v, %v", device, saved, err)
	}
	if got := b.next(t, "/dev/sdb4"); got != "meanwhile" {
		t.Errorf("the next boot from the new one has %q", got)
	}
	var r struct {
		Slot     string
		Warnings []string
		Medium   struct {
			Device, Model, UUID string
			Partitions          map[string]struct{ Device, UUID string }
		}
	}
	text, err := os.ReadFile(b.report)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil || r.Slot != "PRIMARY" || len(r.Warnings) != 1 || r.Medium.Device != "/dev/sdb" || r.Medium.Model != "" || r.Medium.UUID != "bbbb" ||
		len(r.Medium.Partitions) != 4 || r.Medium.Partitions["esos_logs"].Device != "/dev/sdb5" {
		t.Errorf("the report says %+v, %v", r, err)
	}
	// The old one is another's now.
	b.pullStick(t, "sdb")
	b.stick(t, "sda", "aaaa")
	var gone *MediumError
	if _, err := b.Save(t.Context(), "later"); !errors.As(err, &gone) {
		t.Errorf("saved to the medium that was given up: %v", err)
	}
	if b.attached != 0 {
		t.Errorf("%d mounts are left", b.attached)
	}
}

// TestAdoptStrange: a medium that another machine boots from is not taken by
// mistake, whatever that machine is called.
func TestAdoptStrange(t *testing.T) {
	b := adopting(t, "11111111111111111111111111111111")
	b.pullStick(t, "sda")
	b.stick(t, "sdb", "bbbb")
	other := t.TempDir()
	if err := os.MkdirAll(filepath.Join(other, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(b.dir, "dev/sdb4")
	if _, err := persist.Save(t.Context(), dir, other, persist.Options{Machine: "another"}); err != nil {
		t.Fatal(err)
	}
	var strange *StrangeError
	if device, _, err := b.Adopt(t.Context(), false); !errors.As(err, &strange) || device != "/dev/sdb4" || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("another machine's medium: %s, %v", device, err)
	}
	if _, saved, err := b.Adopt(t.Context(), true); err != nil || saved.Generation.Number != 2 {
		t.Errorf("adopted by force: %+v, %v", saved, err)
	}
	// What once was this machine's own needs no force.
	b.pullStick(t, "sdb")
	b.stick(t, "sdc", "cccc")
	if _, err := persist.Save(t.Context(), filepath.Join(b.dir, "dev/sdc4"), other, b.options("long ago")); err != nil {
		t.Fatal(err)
	}
	if device, _, err := b.Adopt(t.Context(), false); err != nil || device != "/dev/sdc4" {
		t.Errorf("an old one of this machine: %s, %v", device, err)
	}
}

// TestAdoptAfterNoConf: a machine whose medium had nothing to save to at boot
// writes to no other before it is told to.
func TestAdoptAfterNoConf(t *testing.T) {
	b := adopting(t, "11111111111111111111111111111111")
	report := `{"mode":"memory","slot":"PRIMARY","medium":{"device":"/dev/sda","partitions":{"esos_root":{"device":"/dev/sda3","uuid":"aaaa"}}}}`
	if err := os.WriteFile(b.report, []byte(report), 0o600); err != nil {
		t.Fatal(err)
	}
	b.pullStick(t, "sda")
	b.stick(t, "sdb", "bbbb")
	var gone *MediumError
	if _, err := b.Save(t.Context(), "apply"); !errors.As(err, &gone) || !strings.Contains(err.Error(), "esos medium adopt") {
		t.Errorf("saved to whatever is there: %v", err)
	}
	if device, _, err := b.Adopt(t.Context(), false); err != nil || device != "/dev/sdb4" {
		t.Errorf("adopted %s, %v", device, err)
	}
	if _, err := b.Save(t.Context(), "apply"); err != nil {
		t.Error(err)
	}
}
