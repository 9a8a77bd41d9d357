package filesystem_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/filesystem"
	"github.com/esos-project/esos/internal/host/storagefake"
)

// TestMake: nothing is made over anything, whatever the program would do.
func TestMake(t *testing.T) {
	const uuid = "11111111-2222-8333-8444-555555555555"
	for _, kind := range []string{filesystem.XFS, filesystem.Ext4, filesystem.Btrfs} {
		for _, holds := range []block.Content{{Type: "ext4", UUID: "x"}, {Type: "gpt"}, {Type: block.Unknown}} {
			m := storagefake.New()
			m.Disk("vda", "d1", 1<<30)
			m.Look("vda").Content, m.Look("vda").Owner = []block.Content{holds}, "somebody"
			if err := filesystem.Make(t.Context(), m, kind, "/dev/vda", uuid, "images"); !errors.Is(err, filesystem.ErrHolds) {
				t.Errorf("%s over %s: %v", kind, holds, err)
			}
			if len(m.Lost()) > 0 {
				t.Errorf("%s over %s: lost %q", kind, holds, m.Lost())
			}
		}
		m := storagefake.New()
		m.Disk("vda", "d1", 1<<30)
		if err := filesystem.Make(t.Context(), m, kind, "/dev/vda", uuid, "images"); err != nil {
			t.Fatal(err)
		}
		if got := m.Look("vda").Content; len(got) != 1 || got[0] != (block.Content{Type: kind, Label: "images", UUID: uuid}) {
			t.Errorf("%s: made %v", kind, got)
		}
		for _, call := range m.Calls() {
			if words := strings.Fields(call); slices.Contains(words, "-f") || slices.Contains(words, "-F") {
				t.Errorf("it is forced: %s", call)
			}
		}
	}
	if err := filesystem.Make(t.Context(), storagefake.New(), "ntfs", "/dev/vda", uuid, ""); err == nil {
		t.Error("any type is made")
	}
}

func TestCheck(t *testing.T) {
	m := storagefake.New()
	m.Disk("vda", "d1", 1<<30)
	if err := m.Run("mkfs.ext4", "-U", "u", "-L", "x", "/dev/vda"); err != nil {
		t.Fatal(err)
	}
	if err := filesystem.Check(t.Context(), m, filesystem.Ext4, "/dev/vda"); err != nil {
		t.Errorf("a good one: %v", err)
	}
	m.Fail("vda", true)
	if err := filesystem.Check(t.Context(), m, filesystem.Ext4, "/dev/vda"); err == nil || !strings.Contains(err.Error(), "keep a copy") {
		t.Errorf("a damaged one: %v", err)
	}
	if err := filesystem.Check(t.Context(), m, filesystem.Ext4, "/dev/vdz"); err == nil || strings.Contains(err.Error(), "keep a copy") {
		t.Errorf("none: %v", err)
	}
	if got := filesystem.Label("a-long-name-of-images"); got != "a-long-name-" {
		t.Errorf("label %q", got)
	}
}
