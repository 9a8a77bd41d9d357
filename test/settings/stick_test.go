package settings

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// TestStickPutBack pulls the stick under I/O and puts it back: no initiator
// notices, changes go on meanwhile, and are saved when it is back. Another
// stick takes its place when it is adopted.
func TestStickPutBack(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 3*stand.BootTimeout)
	a := shared.New(ctx, t, appliance.Options{})
	a.Boot(ctx)
	v, err := a.Verify(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Abandon() })
	before := newest(ctx, a)
	if err := a.Unplug(ctx, 0); err != nil {
		t.Fatal(err)
	}
	a.WaitAlert(ctx, "medium.lost", "")
	out, err := a.Remote.Run(ctx, "esos device create meanwhile --handler vdisk_nullio --size 1GiB 2>&1")
	if err != nil || !strings.Contains(out, "not saved") {
		t.Errorf("a change without the stick: %v\n%s\nwant it done, and said that it is not saved", err, out)
	}
	a.WaitAlert(ctx, "medium.save_failed", "")
	if err := a.Plug(ctx, a.Options.Boot); err != nil {
		t.Fatal(err)
	}
	a.WaitNoAlert(ctx, "medium.lost")
	a.WaitNoAlert(ctx, "medium.save_failed")
	if now := newest(ctx, a); now.Number <= before.Number {
		t.Errorf("what was changed meanwhile is not saved: generation %d is the newest, and was before", now.Number)
	}
	t.Logf("generations:\n%s", a.Run(ctx, "esos config generations"))

	// The stick is lost for good, and another one adopted.
	a.Run(ctx, `set -e
disk=$(lsblk -npo PKNAME /dev/disk/by-partlabel/esos_conf)
echo 1 >/sys/block/$(basename $disk)/device/delete`)
	a.WaitAlert(ctx, "medium.lost", "")
	other := strange(t)
	if err := a.Plug(ctx, other); err != nil {
		t.Fatal(err)
	}
	t.Log(adopt(ctx, a))
	a.WaitNoAlert(ctx, "medium.lost")
	if err := v.Stop(); err != nil {
		t.Errorf("the initiator has an error: %v", err)
	}
	t.Log(v)
	a.Run(ctx, "esos device create after --handler vdisk_nullio --size 1GiB")
	a.Off()
	a.Options.Boot = other
	a.Boot(ctx)
	if got := a.Run(ctx, "esos device list"); !strings.Contains(got, "meanwhile") || !strings.Contains(got, "after") {
		t.Errorf("booted from the adopted stick, what was changed before is not there:\n%s", got)
	}
}

// adopt adopts the stick that was just plugged in, as soon as the kernel has
// it, and returns what was said.
func adopt(ctx context.Context, a *stand.Stand) string {
	a.T.Helper()
	for end := time.Now().Add(time.Minute); ; stand.Pause(ctx, a.T, time.Second) {
		out, err := a.Remote.Run(ctx, "esos medium adopt 2>&1")
		if err == nil {
			return out
		}
		if time.Now().After(end) {
			a.T.Fatalf("esos medium adopt: %v", err)
		}
	}
}

// strange is another stick of the same image, as `mkesos write` makes it: with
// an identity of its own.
func strange(t *testing.T) vm.Drive {
	t.Helper()
	image, err := os.Open(shared.Medium(t))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	c, err := medium.NewCopy(image, "another stick", stand.StickSize)
	if err != nil {
		t.Fatal(err)
	}
	stick, err := os.Create(filepath.Join(shared.Dir(t), "strange.img"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(stick.Name()) })
	if err := stick.Truncate(stand.StickSize); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Extents() {
		if _, err := io.Copy(io.NewOffsetWriter(stick, e.At), io.NewSectionReader(c, e.At, e.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := stick.Close(); err != nil {
		t.Fatal(err)
	}
	return vm.Drive{File: stick.Name(), Bus: vm.USB}
}
