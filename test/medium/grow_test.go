package medium

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/test/level"
)

// loop attaches a file to a loop device with partitions. Media are made
// without; here one stands for the stick.
func loop(t *testing.T, file string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not run: attaching a loop device needs root")
	}
	out, err := exec.CommandContext(t.Context(), "losetup", "--find", "--show", "--partscan", file).CombinedOutput()
	if err != nil {
		t.Skipf("not run: this machine has no loop devices: losetup: %v: %s", err, out)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "losetup", "--detach", dev).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach %s: %v: %s", dev, err, out)
		}
	})
	return dev
}

// may tells whether this process has a capability.
func may(t *testing.T, capability int) bool {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}

func TestGrow(t *testing.T) {
	level.Require(t, level.Smoke)
	const gib = 1 << 30
	for _, test := range []struct {
		name       string
		size       int64
		mounted    bool
		logs, data int64 // at least, in GiB
		words      []string
	}{
		{"a stick", 8 * gib, false, 7, 0, []string{"moved the backup", "grew partition esos_logs", "grew the file system esos_logs"}},
		{"mounted", 8*gib + 512*7, true, 7, 0, []string{"moved the backup", "grew partition esos_logs", "grew the file system esos_logs"}},
		{"a large drive", 200 * gib, false, 64, 130, []string{
			"moved the backup", "grew partition esos_logs", "made partition esos_data", "grew the file system esos_logs", "made the file system esos_data",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := smallPlan(t)
			file := build(t, p)
			if err := os.Truncate(file, test.size); err != nil {
				t.Fatal(err)
			}
			dev := loop(t, file)
			// Not every kernel reads a GPT itself; partx adds what is missing.
			if _, err := os.Stat(medium.PartitionPath(dev, 5)); err != nil {
				if out, err := exec.CommandContext(t.Context(), "partx", "--add", dev).CombinedOutput(); err != nil {
					t.Fatalf("partx: %v: %s", err, out)
				}
			}
			logs := medium.PartitionPath(dev, 5)
			if test.mounted {
				if !may(t, unix.CAP_SYS_RESOURCE) {
					t.Skip("not run: the kernel grows a mounted file system only for CAP_SYS_RESOURCE")
				}
				dir := t.TempDir()
				if out, err := exec.CommandContext(t.Context(), "mount", logs, dir).CombinedOutput(); err != nil {
					t.Fatalf("mount: %v: %s", err, out)
				}
				defer func() { // a failed test leaves it mounted, and the loop device busy
					_ = exec.Command("umount", "-q", dir).Run()
				}()
				write(t, filepath.Join(dir, "kept"), []byte("kept"))
			}
			did, err := medium.Grow(t.Context(), p.Tools, disk.This(), dev)
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range test.words {
				if i >= len(did) || !strings.HasPrefix(did[i], w) {
					t.Errorf("it did %q, want %q", did, test.words)
					break
				}
			}
			if did, err := medium.Grow(t.Context(), p.Tools, disk.This(), dev); err != nil || len(did) > 0 {
				t.Errorf("the second time it did %q, %v", did, err)
			}
			if test.mounted {
				out, err := exec.CommandContext(t.Context(), "umount", logs).CombinedOutput()
				if err != nil {
					t.Fatalf("umount: %v: %s", err, out)
				}
			}
			parts := layout(t, dev)
			for label, want := range map[string]int64{medium.LabelLogs: test.logs, medium.LabelData: test.data} {
				got, ok := medium.Labelled(parts, label)
				if ok != (want > 0) || got.Size < want*gib {
					t.Errorf("partition %s has %d bytes, want %d GiB", label, got.Size, want)
				}
				if want > 0 {
					output(t, p.Tools, "e2fsck", "-fn", medium.PartitionPath(dev, got.Number))
				}
			}
			if out := output(t, p.Tools, "sgdisk", "-v", dev); !strings.Contains(string(out), "No problems found") {
				t.Errorf("sgdisk -v: %s", out)
			}
		})
	}
}

// TestGrowInterrupted cuts the one write of the primary copy short, as a power
// cut would: the backup that was written before it must do.
func TestGrowInterrupted(t *testing.T) {
	p := smallPlan(t)
	file := build(t, p)
	if err := os.Truncate(file, 2<<30); err != nil {
		t.Fatal(err)
	}
	for _, damage := range []struct {
		name string
		at   int64
	}{{"header", 512 + 20}, {"entries", 1024 + 130}} {
		t.Run(damage.name, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "image")
			if out, err := exec.CommandContext(t.Context(), "cp", "--sparse=always", file, copied).CombinedOutput(); err != nil {
				t.Fatalf("cp: %v: %s", err, out)
			}
			// A file has no partition devices: only its table grows.
			if _, err := medium.Grow(t.Context(), p.Tools, disk.This(), copied); err != nil {
				t.Fatal(err)
			}
			grown, _ := medium.Labelled(layout(t, copied), medium.LabelLogs)
			if grown.Size < 1<<30 {
				t.Fatalf("esos_logs has %d bytes", grown.Size)
			}
			poke(t, copied, damage.at, "damaged")
			again, _ := medium.Labelled(layout(t, copied), medium.LabelLogs)
			if again != grown {
				t.Errorf("from the backup esos_logs is %v, want %v", again, grown)
			}
		})
	}
}
