package native

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/esos-project/esos/internal/config"
)

// loopDevice makes a block device of a file. That takes root; everything else
// of the engine is tested without.
func loopDevice(t *testing.T, file string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: block devices; making a loop device takes root")
	}
	out, err := exec.Command("losetup", "--find", "--show", file).CombinedOutput()
	if err != nil {
		t.Skipf("NOT TESTED: block devices; this machine makes no loop devices: %v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("detach %s: %v: %s", device, err, out)
		}
	})
	return device
}

// TestBlockDevice serves a block device: claimed, grown under its initiator,
// and brought back when the process dies.
func TestBlockDevice(t *testing.T) {
	opt := options(t)
	file := filepath.Join(t.TempDir(), "backing")
	ok(t, os.WriteFile(file, nil, 0o600))
	ok(t, os.Truncate(file, 8<<20))
	device := loopDevice(t, file)
	e := begin(t, opt)
	at := serve(t, e, opt)
	ctx := t.Context()
	d := config.Device{Name: "b", Handler: config.BlockIO, Path: device, Identity: config.Identity{NAA: "3000000000000002", Serial: "2"}}
	ok(t, e.PutDevice(ctx, d))
	ok(t, e.PutDevice(ctx, d))
	ok(t, e.PutLUN(ctx, iqn, "g", config.LUN{LUN: 1, Device: "b"}))
	again := d
	again.Name = "again"
	if err := e.PutDevice(ctx, again); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("one block device twice: %v", err)
	}
	// Another node that has the same disk: it writes to what is below.
	behind, err := os.OpenFile(file, os.O_RDWR, 0)
	ok(t, err)
	defer behind.Close()
	s := login(t, at)
	_, err = s.Attentions(1)
	ok(t, err)
	data := bytes.Repeat([]byte("block io"), 512)
	ok(t, s.Write(1, 8, data, 512, true))

	ok(t, os.Truncate(file, 16<<20))
	if out, err := exec.Command("losetup", "--set-capacity", device).CombinedOutput(); err != nil {
		t.Fatalf("grow %s: %v: %s", device, err, out)
	}
	ok(t, e.PutDevice(ctx, d))
	blocks, _, err := s.Capacity(1)
	ok(t, err)
	if blocks != 16<<20/512 {
		t.Errorf("%d blocks after the growth, want %d", blocks, 16<<20/512)
	}

	ok(t, syscall.Kill(e.PID(), syscall.SIGKILL))
	s = relogin(t, at)
	_, err = s.Attentions(1)
	ok(t, err)
	got, err := s.Read(1, 64, 8, 512)
	ok(t, err)
	if !bytes.Equal(got, make([]byte, 4096)) {
		t.Fatalf("blocks that nobody wrote hold % x...", got[:16])
	}
	other := bytes.Repeat([]byte("another!"), 512)
	_, err = behind.WriteAt(other, 64*512)
	ok(t, err)
	if got, err = s.Read(1, 64, 8, 512); err != nil || !bytes.Equal(got, other) {
		t.Errorf("after another node wrote: %v, % x...", err, got[:16])
	}
	got, err = s.Read(1, 8, 8, 512)
	ok(t, err)
	if !bytes.Equal(got, data) {
		t.Errorf("read % x... after the restart", got[:16])
	}
	ok(t, s.Close())
	ok(t, e.DeleteLUN(ctx, iqn, "g", 1))
	ok(t, e.DeleteDevice(ctx, "b"))
	ok(t, e.PutDevice(ctx, again)) // the claim is given back
}
