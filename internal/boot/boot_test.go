package boot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/slot"
)

// standard is a machine with a whole medium as a USB stick.
func standard(t *testing.T, cmdline string) (m *machine, slots string) {
	m = newMachine(t, cmdline)
	slots = m.medium(usbPlace, "sda", 1)
	m.fill(slots, slot.Primary, "1.0")
	m.fill(slots, slot.Secondary, "0.9")
	return m, slots
}

const hinted = "slot=PRIMARY esos_medium=00000000-0000-0000-0000-000000000011"

func TestBoot(t *testing.T) {
	m, _ := standard(t, hinted)
	m.restored = func(dir, upper string) (persist.Restored, error) {
		return persist.Restored{From: persist.FromGeneration, Generation: &persist.Generation{Number: 12}, Files: 3}, os.MkdirAll(filepath.Join(upper, "etc"), 0o755)
	}
	r := m.booted()
	want := []string{
		"mount proc /proc rw ", "mount sysfs /sys rw ", "mount devtmpfs /dev rw mode=0755", "mount tmpfs /run rw mode=0755",
		"mount /dev/sda3 /run/esos/medium/root ro ",
		"mount tmpfs /run/esos/image rw size=4194304,mode=0755,huge=within_size",
		"loop /run/esos/image/root.squashfs",
		"mount /dev/loop0 /run/esos/lower ro ",
		"mount tmpfs /run/esos/rw rw size=402030592,mode=0755",
		"mount /dev/sda4 /run/esos/medium/conf ro ",
		"restore /run/esos/medium/conf to /run/esos/rw/upper",
		"mount overlay /sysroot rw lowerdir=/run/esos/lower,upperdir=/run/esos/rw/upper,workdir=/run/esos/rw/work,metacopy=off,redirect_dir=off,index=off",
		"unmount /run/esos/medium/conf", "unmount /run/esos/medium/root",
		"move /run /sysroot/run", "move /sys /sysroot/sys", "move /proc /sysroot/proc", "move /dev /sysroot/dev",
		"switch /sysroot",
	}
	if diff := cmp.Diff(want, m.calls); diff != "" {
		t.Errorf("what was done (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/sbin/init"}, m.switched); diff != "" {
		t.Errorf("init (-want +got):\n%s", diff)
	}
	if r.Mode != ModeMemory || r.Slot != slot.Primary || r.Version != "1.0" || r.Kernel != testRelease || r.ImageKernel != testRelease || len(r.Warnings) != 0 || r.Restored.Generation.Number != 12 || !r.NewMachineID || r.RootSize != int64(len(image)) {
		t.Errorf("report: %+v", r)
	}
	wantMedium := Medium{Device: "/dev/sda", Disks: []string{"sda"}, Transport: "usb", UUID: uuidOf(1), Partitions: map[string]Partition{
		labelBoot: {Device: "/dev/sda2", UUID: "0000-0000", Size: 64 << 10},
		labelRoot: {Device: "/dev/sda3", UUID: uuidOf(1), Size: 64 << 10},
		labelConf: {Device: "/dev/sda4", UUID: "00000000-0000-0000-0000-000000000021", Size: 64 << 10},
		labelLogs: {Device: "/dev/sda5", UUID: "00000000-0000-0000-0000-000000000031", Size: 64 << 10},
	}}
	if diff := cmp.Diff(wantMedium, r.Medium, cmp.AllowUnexported(Partition{})); diff != "" {
		t.Errorf("medium (-want +got):\n%s", diff)
	}
	if got := m.read("/run/esos/image/root.squashfs"); got != string(image) {
		t.Error("the image in memory differs")
	}
	if exists(filepath.Join(m.root, MediumDir, "root")) {
		t.Error("the medium's mount point is left")
	}
	for _, name := range []string{"crc32c_generic.ko", "jbd2.ko", "ext4.ko", "loop.ko", "squashfs.ko", "overlay.ko"} {
		if !slices.Contains(m.modules, name) {
			t.Errorf("%s was not loaded: %v", name, m.modules)
		}
	}
	if len(r.Modules) != len(m.modules) || slices.Contains(m.modules, "vfat.ko") {
		t.Errorf("modules: %v, reported %v", m.modules, r.Modules)
	}
	if len(r.Stages) < 10 || r.HandedOver <= 0 || r.Stages[len(r.Stages)-1].Name != "prepare the trial" {
		t.Errorf("stages: %+v, handed over at %v", r.Stages, r.HandedOver)
	}
	if id := strings.TrimSpace(m.read(newRoot + "/etc/machine-id")); len(id) != 32 || id[12] != '4' {
		t.Errorf("machine id %q", id)
	}
}

func TestBootOtherSlot(t *testing.T) {
	m, _ := standard(t, hinted+" slot=SECONDARY single_user")
	r := m.booted()
	if r.Slot != slot.Secondary || r.Version != "0.9" || len(r.Warnings) > 0 {
		t.Errorf("report: %+v", r)
	}
	if diff := cmp.Diff([]string{"/sbin/init", "--unit=rescue.target"}, m.switched); diff != "" {
		t.Errorf("init (-want +got):\n%s", diff)
	}
}

// TestDamagedSlot: a stick that lost a byte boots from its other slot.
func TestDamagedSlot(t *testing.T) {
	for name, damage := range map[string]func(m *machine, dir string){
		"image":     func(m *machine, dir string) { m.damage(filepath.Join(dir, slot.RootFile)) },
		"manifest":  func(m *machine, dir string) { m.damage(filepath.Join(dir, slot.ManifestFile)) },
		"signature": func(m *machine, dir string) { m.damage(filepath.Join(dir, slot.SignatureFile)) },
		"cut image": func(m *machine, dir string) { ok(m.t, os.Truncate(filepath.Join(dir, slot.RootFile), 1000)) },
		"no image":  func(m *machine, dir string) { ok(m.t, os.Remove(filepath.Join(dir, slot.RootFile))) },
		"no slot":   func(m *machine, dir string) { ok(m.t, os.RemoveAll(dir)) },
	} {
		for _, mode := range []string{"", " esos_persist"} {
			m, slots := standard(t, hinted+mode)
			damage(m, filepath.Join(slots, "PRIMARY"))
			r := m.booted()
			if r.Slot != slot.Secondary || r.Version != "0.9" || len(r.DamagedSlots) != 1 || r.DamagedSlots[0].Slot != slot.Primary || len(r.Warnings) != 2 {
				t.Errorf("%s%s: report %+v", name, mode, r)
			}
			if !strings.Contains(m.log.String(), "slot PRIMARY is damaged") {
				t.Errorf("%s%s: nobody is told: %s", name, mode, m.log)
			}
		}
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestBothSlotsDamaged(t *testing.T) {
	m, slots := standard(t, hinted)
	m.damage(filepath.Join(slots, "PRIMARY", slot.RootFile))
	m.damage(filepath.Join(slots, "SECONDARY", slot.ManifestFile))
	m.onRescue = func() {
		// A person puts it right, and the medium is looked for again.
		m.fill(slots, slot.Secondary, "0.9.1")
		m.onRescue = nil
	}
	r := m.booted()
	if len(m.rescued) != 1 || !strings.Contains(m.rescued[0], "PRIMARY") || !strings.Contains(m.rescued[0], "SECONDARY") || !strings.Contains(m.rescued[0], "no trusted key") {
		t.Errorf("the reason was %q", m.rescued)
	}
	if r.Version != "0.9.1" || !slices.ContainsFunc(r.Stages, func(s Stage) bool { return s.Name == "find the medium" }) {
		t.Errorf("report %+v", r)
	}
	if m.read("/run/esos/image/root.squashfs") != string(image) {
		t.Error("the image in memory differs")
	}
}

func TestAnotherKernel(t *testing.T) {
	m, _ := standard(t, hinted)
	m.write("proc/sys/kernel/osrelease", []byte("6.13.0\n"))
	m.dir("lib/modules/6.13.0")
	for _, f := range []string{"modules.dep", "modules.alias"} {
		m.write("lib/modules/6.13.0/"+f, []byte(m.read("lib/modules/"+testRelease+"/"+f)))
	}
	if r := m.booted(); len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "6.13.0") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

func TestTooLittleMemory(t *testing.T) {
	m, _ := standard(t, hinted)
	m.write("proc/meminfo", []byte("MemTotal: 200000 kB\n"))
	m.boot()
	if len(m.rescued) != 1 || !strings.Contains(m.rescued[0], "too little memory") || !strings.Contains(m.rescued[0], "esos_persist") || strings.Contains(m.rescued[0], "SECONDARY") {
		t.Errorf("the reason was %q", m.rescued)
	}
	m, _ = standard(t, hinted+" esos_persist")
	m.write("proc/meminfo", []byte("MemTotal: 200000 kB\n"))
	m.booted()
}

func TestPersist(t *testing.T) {
	m, _ := standard(t, hinted+" esos_persist")
	r := m.booted()
	for _, call := range []string{
		"loop /run/esos/medium/root/PRIMARY/root.squashfs", "mount /dev/sda4 /run/esos/medium/conf rw",
		"mount /dev/sda5 /run/esos/medium/logs rw", "mount /dev/sda2 /run/esos/medium/boot ro",
	} {
		if !m.did(call) {
			t.Errorf("no %q in %q", call, m.calls)
		}
	}
	if m.did("unmount") || m.did("mount tmpfs /run/esos/image") {
		t.Errorf("what was done: %q", m.calls)
	}
	if r.Mode != ModePersist || r.Medium.Partitions[labelRoot].Mounted != MediumDir+"/root" || r.Medium.Partitions[labelBoot].Mounted != MediumDir+"/boot" || r.Medium.Partitions[labelLogs].Mounted == "" {
		t.Errorf("report %+v", r)
	}
}

func TestISO(t *testing.T) {
	for mode, want := range map[string]Mode{"live": ModeLive, "install": ModeInstall} {
		m := newMachine(t, "esos_iso="+mode+" install_dev=/dev/sdx")
		m.device("pci0000:00/ata1/host1/block/sr0", isoImage(), false)
		m.media["/dev/sr0"] = filepath.Join(m.root, "media/iso")
		m.fill(m.media["/dev/sr0"], slot.Primary, "1.0")
		// A medium that is there as well is left alone.
		m.fill(m.medium(usbPlace, "sda", 1), slot.Primary, "0.1")
		r := m.booted()
		if r.Mode != want || r.Version != "1.0" || r.Options.Install.Device != "/dev/sdx" || r.Medium.Partitions[labelISO].Mounted != MediumDir+"/iso" || len(r.Warnings) > 0 {
			t.Errorf("%s: report %+v", mode, r)
		}
		if m.did("restore") || m.did("unmount") || m.did("mount /dev/sda") {
			t.Errorf("%s: what was done: %q", mode, m.calls)
		}
	}
}

// TestSettingsNeverStopTheBoot: whatever is wrong with them.
func TestSettingsNeverStopTheBoot(t *testing.T) {
	for name, c := range map[string]struct {
		arrange func(m *machine)
		warning string
	}{
		"restore fails": {func(m *machine) {
			m.restored = func(string, string) (persist.Restored, error) {
				return persist.Restored{}, errors.New("it is gone")
			}
		}, "it is gone"},
		"something skipped": {func(m *machine) {
			m.restored = func(string, string) (persist.Restored, error) {
				return persist.Restored{Skipped: []persist.Skipped{{Name: "generation 3", Why: "damaged"}}}, nil
			}
		}, "generation 3: damaged"},
		"no mount":     {func(m *machine) { m.fail["mount /dev/sda4"] = errors.New("bad superblock") }, "bad superblock"},
		"no journal":   {func(m *machine) { m.fail["mount /dev/sda4 /run/esos/medium/conf ro "] = errors.New("write-protected") }, "write-protected"},
		"no partition": {func(m *machine) { ok(m.t, os.Remove(filepath.Join(m.root, "sys/class/block/sda4"))) }, "esos_conf"},
		"a mistake": {func(m *machine) {
			m.restored = func(string, string) (persist.Restored, error) { panic("index out of range") }
			m.onRescue = func() { m.restored = nil }
		}, ""},
	} {
		m, _ := standard(t, hinted)
		c.arrange(m)
		r := m.booted()
		if !strings.Contains(strings.Join(r.Warnings, "\n"), c.warning) || c.warning != "" && len(r.Warnings) == 0 {
			t.Errorf("%s: warnings %q, want one of %q", name, r.Warnings, c.warning)
		}
		if c.warning == "" && (len(m.rescued) != 1 || !strings.Contains(m.rescued[0], "index out of range")) {
			t.Errorf("%s: %q", name, m.rescued)
		}
	}
}

func TestMachineID(t *testing.T) {
	for old, kept := range map[string]bool{"": false, "uninitialized\n": false, "0123456789abcdef0123456789abcdef\n": true} {
		m, _ := standard(t, hinted)
		m.restored = func(_, upper string) (persist.Restored, error) {
			ok(t, os.MkdirAll(filepath.Join(upper, "etc"), 0o755))
			return persist.Restored{}, os.WriteFile(filepath.Join(upper, "etc/machine-id"), []byte(old), 0o444)
		}
		r := m.booted()
		got := m.read(newRoot + "/etc/machine-id")
		if (got == old) != kept || r.NewMachineID == kept || len(got) != 33 {
			t.Errorf("%q became %q, reported %v", old, got, r.NewMachineID)
		}
	}
}

func TestCheckFileSystems(t *testing.T) {
	for status, problem := range map[int]bool{0: false, 1: false, 2: false, 3: false, 4: true, 8: true, 12: true, 32: true} {
		m, _ := standard(t, hinted)
		m.write("dev/sda3", dirty(extImage(labelRoot, 0x11)))
		m.status["e2fsck -p /dev/sda3"] = status
		r := m.booted()
		if !m.did("e2fsck -p /dev/sda3") || m.did("e2fsck -p /dev/sda4") {
			t.Errorf("what was done: %q", m.calls)
		}
		if got := r.Medium.Partitions[labelRoot].Problem != ""; got != problem || (len(r.Warnings) > 0) != problem {
			t.Errorf("status %d: %+v, warnings %q", status, r.Medium.Partitions[labelRoot], r.Warnings)
		}
	}
	m, _ := standard(t, hinted+" esos_persist")
	m.write("dev/sda4", dirty(extImage(labelConf, 0x21)))
	m.write("dev/sda5", dirty(extImage(labelLogs, 0x31)))
	m.fail["e2fsck -p /dev/sda4"] = errors.New("no e2fsck")
	r := m.booted()
	if !m.did("e2fsck -p /dev/sda5") || !m.did("mount /dev/sda4 /run/esos/medium/conf ro") || m.did("mount /dev/sda4 /run/esos/medium/conf rw") || r.Medium.Partitions[labelConf].Problem == "" {
		t.Errorf("what was done: %q", m.calls)
	}
}

func TestRescueShellOnRequest(t *testing.T) {
	m, _ := standard(t, hinted+" esos_rescue")
	m.onRescue = func() {
		if m.did("move") || !m.did("mount overlay") {
			t.Errorf("the shell came at the wrong time: %q", m.calls)
		}
	}
	m.booted()
	if len(m.rescued) != 1 {
		t.Errorf("rescued %q", m.rescued)
	}
}

// TestHandOverFails: the shell after it finds the machine as it was.
func TestHandOverFails(t *testing.T) {
	m, _ := standard(t, hinted)
	m.fail["switch"] = errors.New("exec format error")
	m.onRescue = func() {
		for _, dir := range []string{"/proc/cmdline", "/dev/ttyS0", "/run/esos/image/root.squashfs"} {
			if !exists(filepath.Join(m.root, dir)) {
				t.Errorf("%s is not back", dir)
			}
		}
		m.fail["move /proc /sysroot/proc"] = errors.New("busy")
		delete(m.fail, "switch")
		m.onRescue = func() {
			if !exists(filepath.Join(m.root, "/run/esos")) {
				t.Error("/run is not back")
			}
			delete(m.fail, "move /proc /sysroot/proc")
			m.onRescue = nil
		}
	}
	m.booted()
	if len(m.rescued) != 2 {
		t.Errorf("rescued %q", m.rescued)
	}
}

func TestIncompleteInitramfs(t *testing.T) {
	m, _ := standard(t, hinted)
	ok(t, os.Remove(filepath.Join(m.root, "etc/esos/keys/test.pub")))
	if m.boot(); len(m.rescued) != 1 || !strings.Contains(m.rescued[0], "keys") {
		t.Errorf("without keys: %q", m.rescued)
	}
	m, _ = standard(t, hinted)
	ok(t, os.RemoveAll(filepath.Join(m.root, "lib/modules")))
	if m.boot(); len(m.rescued) != 1 || !strings.Contains(m.rescued[0], testRelease) {
		t.Errorf("without modules: %q", m.rescued)
	}
}
