package disk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// machine makes a sysfs and a procfs of files; a value that begins with ->
// is a link.
func machine(t *testing.T, files map[string]string) Machine {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, ok := strings.CutPrefix(text, "->"); ok {
			err = os.Symlink(filepath.Join(root, to), path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m := Machine{Sys: filepath.Join(root, "sys"), Proc: filepath.Join(root, "proc"), Dev: "/dev"}
	for _, dir := range []string{m.Sys + "/block", m.Proc + "/self"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

const (
	stickDir = "sys/devices/pci0000:00/usb1/1-1/1-1:1.0/host0/target0:0:0/0:0:0:0/block/sda"
	nvmeDir  = "sys/devices/pci0000:00/nvme/nvme0/nvme0n1"
	diskDir  = "sys/devices/pci0000:00/ata1/host1/target1:0:0/1:0:0:0/block/sdb"
)

func server(t *testing.T) Machine {
	return machine(t, map[string]string{
		"sys/block/sda":                        "->" + stickDir,
		"sys/class/block/sda":                  "->" + stickDir,
		"sys/class/block/sda1":                 "->" + stickDir + "/sda1",
		stickDir + "/size":                     "15728640\n",
		stickDir + "/dev":                      "8:0\n",
		stickDir + "/removable":                "1\n",
		stickDir + "/ro":                       "0\n",
		stickDir + "/queue/logical_block_size": "512\n",
		stickDir + "/sda1/partition":           "1\n",
		stickDir + "/sda1/dev":                 "8:1\n",
		// A drive may say anything of itself.
		"sys/devices/pci0000:00/usb1/1-1/serial":                                   "4C53\x1b[31m\n",
		"sys/devices/pci0000:00/usb1/1-1/1-1:1.0/host0/target0:0:0/0:0:0:0/vendor": "SanDisk \n",
		"sys/devices/pci0000:00/usb1/1-1/1-1:1.0/host0/target0:0:0/0:0:0:0/model":  "Ultra Fit       \n",
		stickDir + "/device": "->sys/devices/pci0000:00/usb1/1-1/1-1:1.0/host0/target0:0:0/0:0:0:0",

		"sys/block/nvme0n1":                   "->" + nvmeDir,
		"sys/class/block/nvme0n1":             "->" + nvmeDir,
		nvmeDir + "/size":                     "1000215216\n",
		nvmeDir + "/dev":                      "259:0\n",
		nvmeDir + "/queue/logical_block_size": "4096\n",
		nvmeDir + "/device/model":             "Fast 512\n",
		nvmeDir + "/device/serial":            "S1\n",
		nvmeDir + "/nvme0n1p2/partition":      "2\n",
		nvmeDir + "/nvme0n1p2/dev":            "259:2\n",
		nvmeDir + "/nvme0n1p2/holders/dm-0/x": "",
		"sys/class/block/dm-0/dm/name":        "vg-root\n",

		"sys/block/sdb":       "->" + diskDir,
		"sys/class/block/sdb": "->" + diskDir,
		diskDir + "/size":     "1000\n",
		diskDir + "/dev":      "8:16\n",
		diskDir + "/ro":       "1\n",

		"sys/block/loop0/size": "100\n",
		"sys/block/sr0/size":   "100\n",
		"proc/self/mountinfo":  "36 35 8:1 / /mnt/my\\040stick rw - vfat /dev/sda1 rw\n40 35 11:0 / /run/iso ro - iso9660 /dev/sr0 ro\n41 35 0:30 /@ / rw - btrfs /dev/nvme0n1p2 rw\n",
		"proc/swaps":           "Filename Type Size Used Priority\n/dev/sdb partition 1 0 -2\n",
	})
}

func TestList(t *testing.T) {
	got, err := server(t).List()
	if err != nil {
		t.Fatal(err)
	}
	want := []Disk{
		{Name: "sda", Path: "/dev/sda", Model: "SanDisk Ultra Fit", Serial: "4C53[31m", Transport: "usb", Size: 15728640 * 512,
			SectorSize: 512, Removable: true, Uses: []string{"sda1 is mounted at /mnt/my stick"}},
		{Name: "sdb", Path: "/dev/sdb", Transport: "sata", Size: 512000, SectorSize: 512, ReadOnly: true, Uses: []string{"sdb is swap space"}},
		{Name: "nvme0n1", Path: "/dev/nvme0n1", Model: "Fast 512", Serial: "S1", Transport: "nvme", Size: 1000215216 * 512,
			SectorSize: 4096, Uses: []string{"nvme0n1p2 is mounted at /", "nvme0n1p2 is held by dm-0 (vg-root)"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := want[0].String(); s != "/dev/sda, SanDisk Ultra Fit, serial 4C53[31m, 8.1 GB, usb" {
		t.Errorf("a disk is shown as %q", s)
	}
}

func TestParent(t *testing.T) {
	m := server(t)
	if got := m.ParentOf("sda1"); got != "sda" {
		t.Errorf("sda1 is on %s", got)
	}
	if got := m.MountPoint("sda1"); got != "/mnt/my stick" {
		t.Errorf("sda1 is mounted at %q", got)
	}
	if got := m.MountPoint("sdb"); got != "" {
		t.Errorf("sdb is mounted at %q", got)
	}
}

func TestHumanSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 1500: "1.5 kB", 8053063680: "8.1 GB", 128e9: "128 GB", 2e12: "2.0 TB"} {
		if got := HumanSize(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

// FuzzContents: whatever is on a drive, looking at it ends without a panic.
func FuzzContents(f *testing.F) {
	f.Add([]byte(strings.Repeat("\x00", 512)+"EFI PART"), int64(1<<20))
	f.Fuzz(func(t *testing.T, head []byte, size int64) {
		if size < 0 || size > 1<<40 {
			return
		}
		if _, err := Contents(strings.NewReader(string(head)), size); err != nil {
			t.Log(err)
		}
	})
}
