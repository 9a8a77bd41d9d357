package storagefake

import (
	"errors"
	"slices"
	"testing"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/block"
)

// TestRefuses: the programs refuse what the real ones refuse, or plans that
// lose data would pass.
func TestRefuses(t *testing.T) {
	m := New()
	d := m.Disk("vda", "a", 1<<30)
	d.Owner, d.Content = "accounts", []block.Content{{Type: "xfs"}}
	call := func(name string, args ...string) error {
		_, err := m.Output(t.Context(), host.Call{Name: name, Args: args})
		return err
	}
	if err := call("blkdiscard", "/dev/vda"); err == nil {
		t.Error("blkdiscard takes a file system away without --force")
	}
	d.Mounts = []string{"/srv"}
	if err := call("wipefs", "--all", "--quiet", "/dev/vda"); err == nil {
		t.Error("wipefs wipes what is mounted")
	}
	if _, err := m.Blank("/dev/vda"); !errors.Is(err, host.ErrInUse) {
		t.Error(err)
	}
	d.Mounts, d.Held = nil, true
	if err := call("wipefs", "--all", "--quiet", "/dev/vda"); err == nil || len(m.Lost()) > 0 {
		t.Errorf("wipefs wipes what is held; lost %v", m.Lost())
	}
	d.Held = false
	// A failure before, after, and none.
	m.FailAt(1, false)
	if err := call("wipefs", "--all", "--quiet", "/dev/vda"); !errors.Is(err, ErrInjected) || len(m.Lost()) > 0 {
		t.Errorf("%v, lost %v", err, m.Lost())
	}
	m.FailAt(1, true)
	if err := call("wipefs", "--all", "--quiet", "/dev/disk/by-id/virtio-a"); !errors.Is(err, ErrInjected) || !slices.Equal(m.Lost(), []string{"accounts"}) {
		t.Errorf("%v, lost %v", err, m.Lost())
	}
	if err := call("lsblk", "--list", "/dev/vdz"); err == nil {
		t.Error("lsblk lists what is not there")
	}
	m.Plug(m.Pull("vda"))
	if m.Real("/dev/disk/by-id/virtio-a") != "/dev/vda" {
		t.Error("a disk that is put back has no link")
	}
}
