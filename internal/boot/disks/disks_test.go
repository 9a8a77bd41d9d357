package disks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var le = binary.LittleEndian

// ext returns a device with an ext4 superblock that edit may change.
func ext(label string, edit func(sb []byte)) []byte {
	b := make([]byte, 64<<10)
	sb := b[1024:]
	le.PutUint16(sb[0x38:], extMagic)
	le.PutUint16(sb[0x3a:], extClean)
	le.PutUint16(sb[0x36:], 0xffff) // no limit of mounts
	copy(sb[0x68:], "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef")
	copy(sb[0x78:0x88], label)
	if edit != nil {
		edit(sb)
	}
	return b
}

const extUUID = "01234567-89ab-cdef-0123-456789abcdef"

func fat32(label string) []byte {
	b := make([]byte, 64<<10)
	b[510], b[511] = 0x55, 0xaa
	copy(b[0x52:], "FAT32   ")
	le.PutUint32(b[0x43:], 0xabcd0123)
	copy(b[0x47:], (label + "           ")[:11])
	return b
}

func iso(label string) []byte {
	b := make([]byte, 64<<10)
	v := b[16*2048:]
	v[0] = 1
	copy(v[1:], "CD001")
	copy(v[40:], (label + "                                ")[:32])
	copy(v[813:], "2026112722410600\x00")
	return b
}

// md puts a RAID superblock into a device, of version 1 at its sector at.
func md(b []byte, at int64, claimed int64) []byte {
	sb := b[at*512:]
	le.PutUint32(sb, 0xa92b4efc)
	le.PutUint32(sb[4:], 1)
	le.PutUint64(sb[144:], uint64(claimed))
	return b
}

func TestRead(t *testing.T) {
	const last10 = 128 - 16 // sector of a superblock 1.0 on 64 KiB
	old := ext("esos_root", nil)
	le.PutUint32(old[0:], 0) // of 0.90, in the last 64 KiB block
	old = append(old, make([]byte, 64<<10)...)
	le.PutUint32(old[64<<10:], 0xa92b4efc)
	for name, c := range map[string]struct {
		bytes []byte
		want  Content
	}{
		"nothing":      {make([]byte, 64<<10), Content{}},
		"empty":        {nil, Content{}},
		"tiny":         {[]byte{1, 2, 3}, Content{}},
		"ext4":         {ext("esos_root", nil), Content{Type: Ext4, Label: "esos_root", UUID: extUUID}},
		"long label":   {ext("0123456789abcdef", nil), Content{Type: Ext4, Label: "0123456789abcdef", UUID: extUUID}},
		"escape codes": {ext("\x1b[2J", nil), Content{Type: Ext4, Label: "?[2J", UUID: extUUID}},
		"errors": {ext("x", func(sb []byte) { le.PutUint16(sb[0x3a:], extClean|extErrors) }),
			Content{Type: Ext4, Label: "x", UUID: extUUID, Check: "it has errors"}},
		"not unmounted": {ext("x", func(sb []byte) { le.PutUint32(sb[0x60:], extIncompatRecover) }),
			Content{Type: Ext4, Label: "x", UUID: extUUID, Check: "it was not unmounted"}},
		"not clean": {ext("x", func(sb []byte) { le.PutUint16(sb[0x3a:], 0) }),
			Content{Type: Ext4, Label: "x", UUID: extUUID, Check: "it is not marked clean"}},
		"many mounts": {ext("x", func(sb []byte) { le.PutUint16(sb[0x34:], 30); le.PutUint16(sb[0x36:], 30) }),
			Content{Type: Ext4, Label: "x", UUID: extUUID, Check: "it was mounted 30 times since the last check"}},
		"few mounts": {ext("x", func(sb []byte) { le.PutUint16(sb[0x34:], 29); le.PutUint16(sb[0x36:], 30) }),
			Content{Type: Ext4, Label: "x", UUID: extUUID}},
		"FAT":             {fat32("ESOS_BOOT"), Content{Type: VFAT, Label: "ESOS_BOOT", UUID: "ABCD-0123"}},
		"FAT, no name":    {fat32("NO NAME"), Content{Type: VFAT, UUID: "ABCD-0123"}},
		"ISO":             {iso("ESOS-ISO"), Content{Type: ISO9660, Label: "ESOS-ISO", UUID: "2026-11-27-22-41-06-00"}},
		"mirror 1.0":      {md(ext("esos_root", nil), last10, last10), Content{Type: Ext4, Label: "esos_root", UUID: extUUID, Member: true}},
		"another's 1.0":   {md(ext("esos_root", nil), last10, last10-8), Content{Type: Ext4, Label: "esos_root", UUID: extUUID}},
		"mirror 1.1":      {md(make([]byte, 64<<10), 0, 0), Content{Member: true}},
		"mirror 1.2":      {md(make([]byte, 64<<10), 8, 8), Content{Member: true}},
		"mirror 0.90":     {old, Content{Type: Ext4, Label: "esos_root", UUID: extUUID, Member: true}},
		"a boot sector":   {append(make([]byte, 510), 0x55, 0xaa), Content{}},
		"cut in the ext4": {ext("esos_root", nil)[:1024+0x80], Content{Type: Ext4, Label: "esos_roo", UUID: extUUID}},
	} {
		got, err := Read(bytes.NewReader(c.bytes), int64(len(c.bytes)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	broken := errors.New("broken")
	if _, err := Read(failing{broken}, 1<<20); !errors.Is(err, broken) {
		t.Errorf("a device that cannot be read: %v", err)
	}
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func FuzzRead(f *testing.F) {
	f.Add(ext("esos_root", nil))
	f.Add(fat32("ESOS_BOOT"))
	f.Add(iso("ESOS-ISO"))
	f.Add(md(ext("x", nil), 112, 112))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{c.Label, c.UUID} {
			for _, r := range s {
				if r < ' ' || r > '~' {
					t.Fatalf("%q would reach the consoles", s)
				}
			}
		}
		// A device that claims to be larger than what can be read of it.
		if _, err := Read(bytes.NewReader(b), 1<<40); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	})
}

// tree is a machine's sysfs and device nodes.
type tree struct {
	t    *testing.T
	root string
}

// add makes a device: place is its directory below /sys/devices.
func (m tree) add(place string, content []byte, files map[string]string) {
	m.t.Helper()
	name := filepath.Base(place)
	dir := filepath.Join(m.root, "sys/devices", place)
	link := filepath.Join(m.root, "sys/class/block", name)
	if files == nil {
		files = map[string]string{}
	}
	files["dev"] = "8:0"
	if _, ok := files["size"]; !ok {
		files["size"] = strconv.Itoa(len(content) / 512)
	}
	for f, text := range files {
		m.write(filepath.Join(dir, f), []byte(text+"\n"))
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join("../../devices", place), link); err != nil {
		m.t.Fatal(err)
	}
	if content != nil {
		m.write(filepath.Join(m.root, "dev", name), content)
	}
}

func (m tree) write(path string, data []byte) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func TestScan(t *testing.T) {
	m := tree{t, t.TempDir()}
	usb := "pci0000:00/usb1/1-1/host0/target/0:0:0:0/block/sda"
	disk := make([]byte, 64<<10)
	m.add(usb, disk, map[string]string{"device/vendor": "Kingston", "device/model": "DataTraveler  3.0"})
	m.add(usb+"/sda10", ext("esos_logs", nil), map[string]string{"partition": "10"})
	m.add(usb+"/sda3", ext("esos_root", nil), map[string]string{"partition": "3", "uevent": "DEVTYPE=partition\nPARTNAME=esos_root"})
	m.add("pci0000:00/virtio1/block/vda", fat32("X"), map[string]string{"device/vendor": "0x1af4"})
	m.add("pci0000:00/nvme/nvme0/nvme0n1", iso("ESOS-ISO"), map[string]string{"device/model": "Samsung SSD"})
	m.add("pci0000:00/ata1/host1/block/sr0", nil, map[string]string{"size": "0"})
	m.add("virtual/block/loop0", ext("esos_root", nil), nil)
	array := "virtual/block/md127"
	m.add(array, ext("esos_root", nil), nil)
	if err := os.MkdirAll(filepath.Join(m.root, "sys/devices", array, "slaves"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"sda3", "vda"} {
		if err := os.Symlink(filepath.Join(m.root, "sys/class/block", member), filepath.Join(m.root, "sys/devices", array, "slaves", member)); err != nil {
			t.Fatal(err)
		}
	}

	s := NewScanner(m.root)
	for _, d := range s.Scan() {
		if d.Read {
			t.Errorf("%s was read before anybody could", d)
		}
	}
	s.wg.Wait()
	root := Content{Type: Ext4, Label: "esos_root", UUID: extUUID}
	want := []Device{
		{Name: "sda", Path: "/dev/sda", Disk: "sda", Below: []string{"sda"}, Transport: "usb", Model: "Kingston DataTraveler 3.0"},
		{Name: "vda", Path: "/dev/vda", Disk: "vda", Below: []string{"vda"}, Transport: "virtio", Content: Content{Type: VFAT, Label: "X", UUID: "ABCD-0123"}},
		{Name: "sda3", Path: "/dev/sda3", Disk: "sda", Below: []string{"sda"}, Transport: "usb", Model: "Kingston DataTraveler 3.0", PartName: "esos_root", Content: root},
		{Name: "sda10", Path: "/dev/sda10", Disk: "sda", Below: []string{"sda"}, Transport: "usb", Model: "Kingston DataTraveler 3.0",
			Content: Content{Type: Ext4, Label: "esos_logs", UUID: extUUID}},
		{Name: "md127", Path: "/dev/md127", Disk: "md127", Below: []string{"sda", "vda"}, Transport: "md", Content: root},
		{Name: "nvme0n1", Path: "/dev/nvme0n1", Disk: "nvme0n1", Below: []string{"nvme0n1"}, Transport: "nvme", Model: "Samsung SSD",
			Content: Content{Type: ISO9660, Label: "ESOS-ISO", UUID: "2026-11-27-22-41-06-00"}},
	}
	for i := range want {
		want[i].Read, want[i].Size = true, 64<<10
	}
	byName := func(list []Device) map[string]Device {
		all := map[string]Device{}
		for _, d := range list {
			all[d.Name] = d
		}
		return all
	}
	got := s.Scan()
	if diff := cmp.Diff(byName(want), byName(got)); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}

	// A disk that went, and another that took its name.
	if err := os.Remove(filepath.Join(m.root, "sys/class/block/vda")); err != nil {
		t.Fatal(err)
	}
	m.write(filepath.Join(m.root, "sys/devices", usb, "sda3/diskseq"), []byte("7\n"))
	m.write(filepath.Join(m.root, "dev/sda3"), ext("another", nil))
	s.Scan()
	s.wg.Wait()
	all := byName(s.Scan())
	if _, ok := all["vda"]; ok {
		t.Error("a disk that is gone is still listed")
	}
	if l := all["sda3"].Content.Label; l != "another" {
		t.Errorf("after a change of disks the label is %q", l)
	}
}

func TestScanTriesAgain(t *testing.T) {
	m := tree{t, t.TempDir()}
	m.add("pci0000:00/virtio1/block/vda", nil, map[string]string{"size": "128"})
	s := NewScanner(m.root)
	look := func() Device {
		s.Scan()
		s.wg.Wait()
		time.Sleep(10 * time.Millisecond)
		return s.Scan()[0]
	}
	if d := look(); d.Read || d.Err != nil {
		t.Errorf("a device without a node: %+v, want that it is tried again", d)
	}
	deadline := time.Now().Add(20 * time.Second)
	for look().Err == nil {
		if time.Now().After(deadline) {
			t.Fatal("a device without a node is never told as an error")
		}
	}
	m.write(filepath.Join(m.root, "dev/vda"), ext("late", nil))
	for look().Content.Label != "late" {
		if time.Now().After(deadline) {
			t.Fatal("a node that came late was not read")
		}
	}
}

func TestCompareNames(t *testing.T) {
	for _, c := range [][2]string{{"sda", "sda1"}, {"sda9", "sdb"}, {"md0", "sda"}, {"sdz", "sdaa"}, {"sda2", "sda10"}, {"mmcblk0p1", "mmcblk0p10"}} {
		if compareNames(c[0], c[1]) >= 0 || compareNames(c[1], c[0]) <= 0 {
			t.Errorf("%s is not before %s", c[0], c[1])
		}
	}
}
