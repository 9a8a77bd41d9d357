package boot

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/boot/disks"
	"github.com/esos-project/esos/internal/slot"
)

func TestNoMedium(t *testing.T) {
	m := newMachine(t, "esos_wait=0")
	if m.boot(); len(m.rescued) != 1 || !strings.Contains(m.rescued[0], "no disk was seen") || !strings.Contains(m.rescued[0], "esos_root") {
		t.Errorf("without disks: %q", m.rescued)
	}
	m = newMachine(t, "esos_wait=1")
	m.device(usbPlace+"sda", make([]byte, 64<<10), false)
	m.device(usbPlace+"sda/sda1", extImage("other", 1), true)
	m.device(usbPlace+"sda/sda3", make([]byte, 64<<10), true)
	m.write("sys/devices/"+usbPlace+"sda/sda3/uevent", []byte("PARTNAME=esos_root\n"))
	m.boot()
	if !strings.Contains(m.log.String(), "waiting for the medium (esos_root)") {
		t.Errorf("nobody is told what is waited for: %s", m.log)
	}
	for _, part := range []string{"/dev/sda", "sda1: other", "sda3: named esos_root, without a file system"} {
		if len(m.rescued) != 1 || !strings.Contains(m.rescued[0], part) {
			t.Errorf("with another disk: %q does not tell of %q", m.rescued, part)
		}
	}
}

// TestMediumComesLate: the disk appears because a module was loaded for its
// controller, which appeared itself.
func TestMediumComesLate(t *testing.T) {
	m := newMachine(t, hinted)
	go func() {
		m.aliases <- ""
		m.aliases <- "usb:v1234ic08"
		deadline := time.Now().Add(10 * time.Second)
		for time.Now().Before(deadline) {
			m.mu.Lock()
			loaded := strings.Contains(strings.Join(m.modules, " "), "usb-storage.ko")
			m.mu.Unlock()
			if loaded {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		staged := newMachine(t, "")
		slots := staged.medium(usbPlace, "sda", 1)
		staged.fill(slots, slot.Primary, "1.0")
		m.mu.Lock()
		m.media = staged.media
		m.mu.Unlock()
		if err := os.CopyFS(filepath.Join(m.root, "sys/devices"), os.DirFS(filepath.Join(staged.root, "sys/devices"))); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"sda3", "sda", "sda5", "sda2", "sda4"} { // the others come when it was seen
			data, err := os.ReadFile(filepath.Join(staged.root, "dev", name))
			if err == nil {
				err = os.WriteFile(filepath.Join(m.root, "dev", name), data, 0o644)
			}
			place := usbPlace + "sda/" + name
			if name == "sda" {
				place = usbPlace + "sda"
			}
			if err := errors.Join(err, os.Symlink("../../devices/"+place, filepath.Join(m.root, "sys/class/block", name))); err != nil {
				t.Error(err)
			}
			time.Sleep(30 * time.Millisecond)
		}
	}()
	r := m.booted()
	if len(r.Warnings) > 0 || len(r.Medium.Partitions) != 4 {
		t.Errorf("warnings %q, partitions %v", r.Warnings, r.Medium.Partitions)
	}
}

func TestTwoMedia(t *testing.T) {
	for _, c := range []struct {
		name, cmdline string
		first, second byte
		want          string // disk
		warning       string
	}{
		{"the UUID names the second", "esos_medium=" + uuidOf(2), 1, 2, "/dev/vda", ""},
		{"blkid's word", "esos_medium=UUID=" + strings.ToUpper(uuidOf(1)), 1, 2, "/dev/sda", ""},
		{"a disk", "esos_medium=/dev/vda", 1, 2, "/dev/vda", ""},
		{"a disk's name", "esos_medium=vda", 1, 2, "/dev/vda", ""},
		{"a partition", "esos_medium=/dev/vda3", 1, 2, "/dev/vda", ""},
		{"no hint", "", 1, 2, "/dev/sda", "there are 2 media"},
		{"a copy of the stick", "esos_medium=" + uuidOf(1), 1, 1, "/dev/sda", "2 media are what"},
		{"neither", "esos_wait=1 esos_medium=" + uuidOf(9), 1, 2, "/dev/sda", "did not appear"},
	} {
		m := newMachine(t, "slot=PRIMARY "+c.cmdline)
		m.fill(m.medium(usbPlace, "sda", c.first), slot.Primary, "1.0")
		m.fill(m.medium(virtioPlace, "vda", c.second), slot.Primary, "1.0")
		r := m.booted()
		if r.Medium.Device != c.want {
			t.Errorf("%s: booted %s, want %s", c.name, r.Medium.Device, c.want)
		}
		if c.warning == "" && len(r.Warnings) > 0 || c.warning != "" && (len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], c.warning)) {
			t.Errorf("%s: warnings %q, want one of %q", c.name, r.Warnings, c.warning)
		}
		for label, p := range r.Medium.Partitions {
			if !strings.HasPrefix(p.Device, c.want) {
				t.Errorf("%s: %s is taken from %s", c.name, label, p.Device)
			}
		}
	}
}

// TestMirroredMedium: each member of the mirror shows the medium; what is
// booted is the mirror.
func TestMirroredMedium(t *testing.T) {
	for _, complete := range []bool{true, false} {
		m := newMachine(t, hinted)
		slots := ""
		for _, disk := range []string{"sda", "sdb"} {
			if disk == "sdb" && !complete {
				continue
			}
			slots = m.medium(usbPlace, disk, 1)
			m.write("dev/"+disk, member(make([]byte, 64<<10)))
		}
		// An array of data is nobody's business here.
		m.device(virtioPlace+"vda", member(extImage("data", 9)), false)
		m.run = func(call string) {
			last := "mdadm --incremental /dev/sdb"
			if !complete {
				last = "mdadm --incremental --run --scan"
			}
			if call != last {
				return
			}
			slots = m.medium("virtual/block/", "md127", 1)
			// The array's partitions are md127p3 on a real machine; which
			// name they have is not looked at.
			m.fill(slots, slot.Primary, "1.0")
			m.dir("sys/devices/virtual/block/md127/slaves")
			for _, disk := range []string{"sda", "sdb"} {
				_ = os.Symlink(filepath.Join(m.root, "sys/class/block", disk), filepath.Join(m.root, "sys/devices/virtual/block/md127/slaves", disk))
			}
		}
		r := m.booted()
		if r.Medium.Device != "/dev/md127" || !r.Medium.Mirrored || !m.did("mount /dev/md1273") || m.did("mount /dev/sd") {
			t.Errorf("complete %v: booted %+v, %q", complete, r.Medium, m.calls)
		}
		if m.did("mdadm --incremental /dev/vda") {
			t.Error("an array of data was started")
		}
		if got := len(r.Warnings) > 0; got == complete {
			t.Errorf("complete %v: warnings %q", complete, r.Warnings)
		}
	}
}

// TestMirrorOfPartitions: each of the medium's file systems is an array of its
// own; they belong together by the disks below them.
func TestMirrorOfPartitions(t *testing.T) {
	dev := func(name, disk, label string, below ...string) disks.Device {
		d := disks.Device{Name: name, Path: "/dev/" + name, Disk: disk, Below: below, Read: true, Content: disks.Content{Label: label}}
		if strings.HasPrefix(name, "md") {
			d.Transport = "md"
		} else {
			d.Content.Member = label != "" && label != labelBoot
		}
		return d
	}
	devices := []disks.Device{
		dev("md1", "md1", labelRoot, "sda", "sdb"), dev("md2", "md2", labelConf, "sda", "sdb"), dev("md3", "md3", labelLogs, "sda", "sdb"),
		dev("sda", "sda", "", "sda"), dev("sda2", "sda", labelBoot, "sda"), dev("sda3", "sda", labelRoot, "sda"), dev("sda4", "sda", labelConf, "sda"),
		dev("sdb", "sdb", "", "sdb"), dev("sdb2", "sdb", labelBoot, "sdb"), dev("sdb3", "sdb", labelRoot, "sdb"), dev("sdb4", "sdb", labelConf, "sdb"),
		dev("sdc", "sdc", "", "sdc"), dev("sdc1", "sdc", labelLogs, "sdc"),
	}
	list := media(devices, labelRoot)
	if len(list) != 1 || list[0].Device != "/dev/md1" || !list[0].ready || len(list[0].missing) > 0 {
		t.Fatalf("media: %+v", list)
	}
	for label, want := range map[string]string{labelConf: "/dev/md2", labelLogs: "/dev/md3", labelBoot: "/dev/sda2"} {
		if got := list[0].Partitions[label].Device; got != want {
			t.Errorf("%s is %s, want %s", label, got, want)
		}
	}
	if ours(devices, devices[3]) || !ours(devices, devices[5]) {
		t.Error("which members are ours")
	}
}

// TestNotReadYet: nothing is decided about a disk before all of it was read.
func TestNotReadYet(t *testing.T) {
	devices := []disks.Device{
		{Name: "sda", Disk: "sda", Below: []string{"sda"}},
		{Name: "sda3", Disk: "sda", Below: []string{"sda"}, Read: true, Content: disks.Content{Label: labelRoot}},
		{Name: "sdb", Disk: "sdb", Below: []string{"sdb"}},
	}
	if c := media(devices, labelRoot); len(c) != 1 || c[0].ready {
		t.Errorf("before the disk was read: %+v", c)
	}
	devices[0].Err = errors.New("broken")
	if c := media(devices, labelRoot); !c[0].ready {
		t.Errorf("after the disk could not be read: %+v", c)
	}
}

func TestHybridISO(t *testing.T) {
	iso := disks.Content{Label: labelISO, Type: disks.ISO9660, UUID: "2026"}
	devices := []disks.Device{
		{Name: "sda", Path: "/dev/sda", Disk: "sda", Below: []string{"sda"}, Read: true, Content: iso},
		{Name: "sda1", Path: "/dev/sda1", Disk: "sda", Below: []string{"sda"}, Read: true, Content: iso},
	}
	if c := media(devices, labelISO); len(c) != 1 || c[0].Partitions[labelISO].Device != "/dev/sda" {
		t.Errorf("media: %+v", c)
	}
}
