package medium

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/medium/disk"
)

// plugged is a machine whose devices are files: a medium's partitions sdX1 to
// sdX5, of which 3 and 4 have a superblock.
type plugged struct {
	t *testing.T
	Finder
}

func newPlugged(t *testing.T) plugged {
	dir := t.TempDir()
	p := plugged{t, Finder{disk.Machine{Sys: dir + "/sys", Proc: dir + "/proc", Dev: dir + "/dev"}, dir + "/boot.json"}}
	p.write(dir+"/proc/self/mountinfo", "1 2 8:99 / /mnt rw - ext4 x rw\n")
	p.write(dir+"/sys/class/block/none/x", "")
	return p
}

func (p plugged) write(path, text string) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// plug puts a medium in as a disk.
func (p plugged) plug(name string, id uuid.UUID) {
	p.t.Helper()
	at := filepath.Join(p.Machine.Sys, "devices/usb1", name)
	p.write(at+"/size", "8192\n")
	p.write(at+"/device/model", "Stick\n")
	p.link(at, name)
	p.write(filepath.Join(p.Machine.Dev, name), "")
	for i, label := range []string{LabelGRUB, LabelBoot, LabelRoot, LabelConf, LabelLogs} {
		part := PartitionPath(name, i+1)
		p.write(filepath.Join(at, part, "partition"), "1\n")
		p.write(filepath.Join(at, part, "size"), "2048\n")
		p.write(filepath.Join(at, part, "uevent"), "DEVTYPE=partition\nPARTNAME="+label+"\n")
		p.link(filepath.Join(at, part), part)
		p.write(filepath.Join(p.Machine.Dev, part), string(superblock(id)))
	}
}

// superblock is enough of an ext4 file system to be told by its UUID.
func superblock(id uuid.UUID) []byte {
	b := make([]byte, 1<<20)
	sb := b[1024:]
	sb[0x4], sb[0x5] = 0, 1 // 256 blocks
	sb[0x18] = 2            // of 4 KiB
	sb[0x21], sb[0x28] = 0x80, 0x80
	sb[0x38], sb[0x39] = 0x53, 0xef
	sb[0x58], sb[0x59] = 0, 1
	sb[0x60] = 0x42
	copy(sb[0x68:], id[:])
	return b
}

func (p plugged) link(to, name string) {
	p.t.Helper()
	if err := os.Symlink(to, filepath.Join(p.Machine.Sys, "class/block", name)); err != nil {
		p.t.Fatal(err)
	}
}

// pull takes a disk out.
func (p plugged) pull(name string) {
	p.t.Helper()
	for i := range 6 {
		n := name
		if i > 0 {
			n = PartitionPath(name, i)
		}
		if err := os.RemoveAll(filepath.Join(p.Machine.Sys, "class/block", n)); err != nil {
			p.t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(p.Machine.Dev, n)); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(p.Machine.Sys, "devices/usb1", name)); err != nil {
		p.t.Fatal(err)
	}
}

// booted writes the report of a boot.
func (p plugged) booted(mode boot.Mode, name string, id uuid.UUID) {
	p.t.Helper()
	parts := map[string]boot.Partition{}
	for i, label := range []string{LabelBoot, LabelRoot, LabelConf, LabelLogs} {
		parts[label] = boot.Partition{Device: filepath.Join(p.Machine.Dev, PartitionPath(name, i+2))}
	}
	text, err := json.Marshal(boot.Report{Mode: mode, Medium: boot.Medium{
		Device: filepath.Join(p.Machine.Dev, name), UUID: id.String(), Partitions: parts,
	}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(p.Report, string(text))
}

func TestFind(t *testing.T) {
	p := newPlugged(t)
	ctx := t.Context()
	if err := p.Present(ctx); !errors.Is(err, ErrNoMedium) {
		t.Errorf("without a report: %v", err)
	}
	mine, other := uuid.New(), uuid.New()
	p.booted(boot.ModeMemory, "sda", mine)
	p.plug("sda", mine)
	p.plug("sdb", other)
	expect := func(disk string) {
		t.Helper()
		r, err := p.Find(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(r.Disk) != disk || filepath.Base(r.Partitions[LabelConf].Device) != disk+"4" || r.Partitions[LabelLogs].Size != 1<<20 || r.Model != "Stick" {
			t.Errorf("the medium is %+v, want %s", r, disk)
		}
		if err := p.Present(ctx); err != nil {
			t.Error(err)
		}
	}
	expect("sda")
	p.pull("sda")
	if err := p.Present(ctx); !errors.Is(err, ErrAbsent) {
		t.Errorf("pulled: %v", err)
	}
	p.plug("sdc", mine) // the next free name
	expect("sdc")
	p.pull("sdc")
	p.pull("sdb")
	p.plug("sda", other) // another stick in the same place
	if err := p.Present(ctx); !errors.Is(err, ErrAbsent) {
		t.Errorf("another stick in its place: %v", err)
	}
	p.booted(boot.ModeLive, "sda", mine)
	if err := p.Present(ctx); !errors.Is(err, ErrNoMedium) {
		t.Errorf("live: %v", err)
	}
}
