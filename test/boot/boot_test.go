package boot

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/level"
)

// bootLimit is for one boot, translated, on a busy machine.
const bootLimit = 3 * time.Minute

// arguments are those of every boot here.
const arguments = "console=ttyS0 panic=-1 mitigations=off loglevel=6 "

// booted is a machine that runs the test's system.
type booted struct {
	*vm.Machine
	t     *testing.T
	lab   lab
	shell *vm.Shell
}

// start starts a machine, which ends with the test.
func (l lab) start(ctx context.Context, t *testing.T, cmdline string, drives ...vm.Drive) *vm.Machine {
	t.Helper()
	m, err := vm.Start(ctx, vm.Config{
		Dir: level.ShortDir(t), Memory: 512, CPUs: 2, Kernel: l.kernel, Initrd: l.initrd, Append: arguments + cmdline, Drives: drives,
	})
	ok(t, err)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// boot starts a machine and waits for the system's init.
func (l lab) boot(ctx context.Context, t *testing.T, cmdline string, drives ...vm.Drive) booted {
	t.Helper()
	m := l.start(ctx, t, cmdline, drives...)
	ok(t, m.WaitFor(ctx, marker))
	shell, err := m.Shell(ctx)
	ok(t, err)
	t.Cleanup(func() { _ = shell.Close() })
	return booted{m, t, l, shell}
}

func (b booted) run(script string) string {
	b.t.Helper()
	out, err := b.shell.Run(b.t.Context(), script)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b booted) report() boot.Report {
	b.t.Helper()
	var r boot.Report
	if err := json.Unmarshal([]byte(b.run("cat "+boot.ReportFile)), &r); err != nil {
		b.t.Fatal(err)
	}
	var line []string
	for _, s := range r.Stages {
		line = append(line, fmt.Sprintf("%s %.2f", s.Name, s.Took))
	}
	b.t.Logf("handed over after %.2f s: %s", r.HandedOver, strings.Join(line, ", "))
	return r
}

// mounted tells what is mounted of a machine's disks, and where.
func (b booted) mounted(disk string) string {
	return strings.TrimSpace(b.run("grep ^/dev/" + disk + " /proc/mounts || true"))
}

// inMemory checks a system that does not need its medium any more.
func (b booted) inMemory(disk string) {
	b.t.Helper()
	if on := b.mounted(disk); on != "" {
		b.t.Errorf("the medium is still mounted: %s", on)
	}
	if got := b.run("cat /etc/saved"); got != saved {
		b.t.Errorf("restored settings are %q, want %q", got, saved)
	}
	root := b.run("grep ' / ' /proc/mounts")
	for _, want := range []string{"overlay / overlay rw", "lowerdir=/run/esos/lower", "upperdir=/run/esos/rw/upper"} {
		if !strings.Contains(root, want) {
			b.t.Errorf("the root is %q, want %q in it", root, want)
		}
	}
	b.run("echo written > /lib/written; [ \"$(cat /run/esos/rw/upper/lib/written)\" = written ]")
	if id := strings.TrimSpace(b.run("cat /etc/machine-id")); len(id) != 32 {
		b.t.Errorf("machine id %q", id)
	}
	b.readable()
}

// readable reads the image anew.
func (b booted) readable() {
	b.t.Helper()
	if got := strings.TrimSpace(b.run("echo 3 > /proc/sys/vm/drop_caches; sha256sum < /lib/ballast")); !strings.HasPrefix(got, b.lab.ballast) {
		b.t.Errorf("the SHA-256 of a file in the image is %q, want %s", got, b.lab.ballast)
	}
}

func whole(t *testing.T, r boot.Report) {
	t.Helper()
	if r.Mode != boot.ModeMemory || r.Slot != slot.Primary || r.Version != "1.0-test" || r.Restored.Generation == nil || !r.NewMachineID || len(r.Warnings) > 0 {
		t.Errorf("report: %+v", r)
	}
	if len(r.Medium.Partitions) != 4 || r.Medium.UUID != firstUUID {
		t.Errorf("medium: %+v", r.Medium)
	}
}

// TestBoot boots from a virtio disk, in memory.
func TestBoot(t *testing.T) {
	level.Require(t, level.Smoke)
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	l := newLab(ctx, t)
	b := l.boot(ctx, t, "slot=PRIMARY esos_medium="+firstUUID, vm.Drive{File: l.medium(ctx, t, "medium", recipe{}), Snapshot: true})
	whole(t, b.report())
	b.inMemory("vd")
	// The initramfs gave its memory back: in tmpfs is the image, and little else.
	var shmem, image int64
	_, err := fmt.Sscan(b.run("awk '$1 == \"Shmem:\" {print $2 * 1024}' /proc/meminfo; stat -c %s "+boot.ImageDir+"/"+slot.RootFile), &shmem, &image)
	ok(t, err)
	if shmem < image || shmem > image+8*mib {
		t.Errorf("files in memory take %d MiB, the image is %d MiB of it", shmem/mib, image/mib)
	}
}

// TestBuses boots from everything that a medium can be plugged into.
func TestBuses(t *testing.T) {
	level.Require(t, level.Full)
	l := newLab(t.Context(), t)
	medium := l.medium(t.Context(), t, "medium", recipe{})
	for bus, disk := range map[vm.Bus]string{vm.USB: "sd", vm.NVMe: "nvme", vm.SATA: "sd"} {
		t.Run(string(bus), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
			defer cancel()
			b := l.boot(ctx, t, "slot=PRIMARY esos_medium="+firstUUID, vm.Drive{File: medium, Bus: bus, Snapshot: true})
			r := b.report()
			whole(t, r)
			if r.Medium.Transport != string(bus) {
				t.Errorf("transport %q, want %q", r.Medium.Transport, bus)
			}
			b.inMemory(disk)
			if bus == vm.USB {
				ok(t, b.Unplug(ctx, 0))
				b.run("n=0; while ls /dev/sda 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done; [ ! -e /dev/sda ]")
				b.readable()
			}
		})
	}
}

// TestDamage boots what is left of a damaged medium, and stops with a shell
// when nothing is.
func TestDamage(t *testing.T) {
	level.Require(t, level.Full)
	l := newLab(t.Context(), t)
	t.Run("one slot", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
		defer cancel()
		medium := l.medium(ctx, t, "one", recipe{root: func(dir string) error { return damage(filepath.Join(dir, "PRIMARY", slot.RootFile)) }})
		// No hint: the only medium is taken.
		b := l.boot(ctx, t, "slot=PRIMARY quiet", vm.Drive{File: medium, Snapshot: true})
		r := b.report()
		if r.Slot != slot.Secondary || len(r.DamagedSlots) != 1 || len(r.Warnings) == 0 {
			t.Errorf("report: %+v", r)
		}
		// Quiet or not, people see it.
		if !strings.Contains(b.Console().String(), "slot PRIMARY is damaged") {
			t.Error("the console says nothing of the damage")
		}
		b.inMemory("vd")
	})
	t.Run("file systems that were not unmounted", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
		defer cancel()
		medium := l.medium(ctx, t, "unclean", recipe{file: func(_, file string) error {
			return run(ctx, "debugfs", "-w", "-R", "set_super_value state 0", file)
		}})
		b := l.boot(ctx, t, "slot=SECONDARY esos_persist esos_medium=/dev/vda", vm.Drive{File: medium, Snapshot: true})
		r := b.report()
		if r.Mode != boot.ModePersist || r.Slot != slot.Secondary || len(r.Warnings) > 0 {
			t.Errorf("report: %+v", r)
		}
		for _, label := range []string{"esos_root", "esos_conf", "esos_logs"} {
			if !strings.Contains(b.Console().String(), "checking "+label) {
				t.Errorf("%s was not checked", label)
			}
		}
		on := b.mounted("vd")
		for _, want := range []string{"/dev/vda3 /run/esos/medium/root ext4 ro", "/dev/vda4 /run/esos/medium/conf ext4 rw", "/dev/vda5 /run/esos/medium/logs ext4 rw", "/dev/vda2 /run/esos/medium/boot vfat ro"} {
			if !strings.Contains(on, want) {
				t.Errorf("not mounted: %s, but:\n%s", want, on)
			}
		}
		b.readable()
		b.run("[ -s /etc/saved ] && echo x > /run/esos/medium/conf/x")
	})
	t.Run("both slots", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
		defer cancel()
		medium := l.medium(ctx, t, "both", recipe{root: func(dir string) error {
			if err := damage(filepath.Join(dir, "PRIMARY", slot.ManifestFile)); err != nil {
				return err
			}
			return os.Remove(filepath.Join(dir, "SECONDARY", slot.SignatureFile))
		}})
		m := l.start(ctx, t, "slot=PRIMARY quiet esos_medium="+firstUUID, vm.Drive{File: medium, Snapshot: true})
		const prompt, reason = "esos-rescue#", "no trusted key signed it"
		for n := range 2 {
			waitFor(ctx, t, "a shell", func() bool {
				said := m.Console().String()
				return strings.Count(said, reason) > n && strings.Count(said[strings.LastIndex(said, reason):], prompt) > 0
			})
			// What ends within a second had no person before it.
			time.Sleep(2 * time.Second)
			ok(t, m.Type(fmt.Sprintf("tty; echo shell-$((6*7))-%d\n", n)))
			ok(t, m.WaitFor(ctx, fmt.Sprintf("shell-42-%d", n)))
			if said := m.Console().String(); !strings.Contains(said[strings.LastIndex(said, reason):], "/dev/ttyS0") {
				t.Error("the shell has no terminal")
			}
			if n == 0 {
				ok(t, m.Type("exit\n"))
			}
		}
		ok(t, m.Type("reboot -f\n"))
		ok(t, m.Wait(ctx)) // a reboot ends the machine
	})
}

// TestNoMedium waits, says what it sees, and stops with a shell.
func TestNoMedium(t *testing.T) {
	level.Require(t, level.Full)
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	l := newLab(ctx, t)
	m := l.start(ctx, t, "slot=PRIMARY esos_wait=12", vm.Drive{File: l.blank(t, "blank", 64*mib), Snapshot: true})
	ok(t, m.WaitFor(ctx, "waiting for the medium (esos_root) since 10 s; seen: /dev/vda"))
	ok(t, m.WaitFor(ctx, "What failed: find the medium"))
	ok(t, m.WaitFor(ctx, "nothing of ours on it"))
	ok(t, m.WaitFor(ctx, "esos-rescue#"))
}

// TestTwoMedia takes the one that GRUB named.
func TestTwoMedia(t *testing.T) {
	level.Require(t, level.Full)
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	l := newLab(ctx, t)
	drives := []vm.Drive{
		{File: l.medium(ctx, t, "first", recipe{}), Bus: vm.USB, Snapshot: true},
		{File: l.medium(ctx, t, "second", recipe{uuid: secondUUID}), Snapshot: true},
	}
	b := l.boot(ctx, t, "slot=PRIMARY esos_medium="+secondUUID, drives...)
	if r := b.report(); r.Medium.Device != "/dev/vda" || r.Medium.UUID != secondUUID {
		t.Errorf("medium: %+v", r.Medium)
	}
}

// TestMirror puts a medium onto an MD mirror of two disks, as an administrator
// does, and boots from it; also when a disk is missing.
func TestMirror(t *testing.T) {
	level.Require(t, level.Full)
	ctx, cancel := context.WithTimeout(t.Context(), 4*bootLimit)
	defer cancel()
	l := newLab(ctx, t)
	medium := l.medium(ctx, t, "medium", recipe{})
	st, err := os.Stat(medium)
	ok(t, err)
	a, b := l.blank(t, "a", st.Size()+8*mib), l.blank(t, "b", st.Size()+8*mib)
	maker := l.boot(ctx, t, "slot=PRIMARY esos_medium="+firstUUID, vm.Drive{File: medium, Snapshot: true}, vm.Drive{File: a}, vm.Drive{File: b})
	maker.run(`set -e
export MDADM_NO_UDEV=1
modprobe raid1
mkdir -p /run/mdadm
# It complains of what it waits for, and the array is there.
mdadm --create /dev/md9 --run --metadata=1.0 --level=1 --raid-devices=2 --assume-clean --bitmap=none /dev/vdb /dev/vdc || [ -b /dev/md9 ]
dd if=/dev/vda of=/dev/md9 bs=1M
mdadm --stop /dev/md9
sync`)
	ok(t, maker.Close())
	for _, c := range []struct {
		name   string
		drives []vm.Drive
	}{
		{"complete", []vm.Drive{{File: a, Snapshot: true}, {File: b, Snapshot: true}}},
		{"degraded", []vm.Drive{{File: b, Bus: vm.USB, Snapshot: true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := l.boot(ctx, t, "slot=PRIMARY esos_medium="+firstUUID, c.drives...)
			r := b.report()
			if !r.Medium.Mirrored || !strings.HasPrefix(r.Medium.Device, "/dev/md") || len(r.Medium.Disks) != len(c.drives) {
				t.Errorf("medium: %+v", r.Medium)
			}
			if (len(r.Warnings) > 0) != (c.name == "degraded") {
				t.Errorf("warnings: %q", r.Warnings)
			}
			b.inMemory("md")
		})
	}
}

// TestISO runs from a CD-ROM's image, in memory, and restores nothing.
func TestISO(t *testing.T) {
	level.Require(t, level.Full)
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	l := newLab(ctx, t)
	iso := filepath.Join(l.dir, "live.iso")
	ok(t, run(ctx, "xorriso", "-as", "mkisofs", "-quiet", "-V", "ESOS-ISO", "-R", "-o", iso, "-graft-points", "PRIMARY="+l.slot))
	b := l.boot(ctx, t, "esos_iso=live single_user", vm.Drive{File: iso, Bus: vm.CD}, vm.Drive{File: l.medium(ctx, t, "medium", recipe{}), Snapshot: true})
	r := b.report()
	if r.Mode != boot.ModeLive || r.Medium.Device != "/dev/sr0" || r.Restored.Generation != nil {
		t.Errorf("report: %+v", r)
	}
	if !strings.Contains(b.Console().String(), marker+" --unit=rescue.target") {
		t.Error("single_user did not reach the system's init")
	}
	if on := b.mounted(""); !strings.Contains(on, "/dev/sr0 /run/esos/medium/iso iso9660 ro") || strings.Contains(on, "/dev/vda") {
		t.Errorf("mounted: %s", on)
	}
	if got := b.run("ls /etc"); slices.Contains(strings.Fields(got), "saved") {
		t.Error("settings were restored")
	}
}

func waitFor(ctx context.Context, t *testing.T, what string, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("wait for %s: %v", what, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
