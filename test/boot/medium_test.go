package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat32"
	"github.com/diskfs/go-diskfs/partition/gpt"

	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/slot"
)

const mib = 1 << 20

// layout is a small medium's.
var layout = []struct {
	label string
	mib   int64
	kind  gpt.Type
}{
	{"esos_grub", 1, gpt.BIOSBoot},
	{"ESOS_BOOT", 40, gpt.EFISystemPartition},
	{"esos_root", 96, gpt.LinuxFilesystem},
	{"esos_conf", 16, gpt.LinuxFilesystem},
	{"esos_logs", 16, gpt.LinuxFilesystem},
}

// recipe says how a medium differs from a good one.
type recipe struct {
	uuid string                         // of esos_root
	root func(dir string) error         // changes the tree of esos_root
	file func(label, file string) error // changes a file system
}

const (
	firstUUID  = "11111111-2222-4333-8444-555555555555"
	secondUUID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
)

// saved is what the medium has in the settings that were saved to it.
const saved = "restored by the boot\n"

// medium makes a medium with both slots and a generation of settings, as an
// image file.
func (l lab) medium(ctx context.Context, t *testing.T, name string, r recipe) string {
	t.Helper()
	path := filepath.Join(l.dir, name+".img")
	size := int64(2 * mib)
	for _, p := range layout {
		size += p.mib * mib
	}
	disk, err := file.CreateFromPath(path, size)
	ok(t, err)
	defer disk.Close()
	table := &gpt.Table{LogicalSectorSize: 512, PhysicalSectorSize: 512, ProtectiveMBR: true}
	at := int64(mib)
	for i, p := range layout {
		table.Partitions = append(table.Partitions, &gpt.Partition{
			Index: i + 1, Start: uint64(at / 512), End: uint64((at+p.mib*mib)/512 - 1), Type: p.kind, Name: p.label,
		})
		at += p.mib * mib
	}
	out, err := disk.Writable()
	ok(t, err)
	ok(t, table.Write(out, size))
	for i, p := range layout {
		start, length := int64(table.Partitions[i].Start)*512, p.mib*mib
		switch p.kind {
		case gpt.EFISystemPartition:
			_, err := fat32.Create(disk, length, start, 512, p.label, true)
			ok(t, err)
		case gpt.LinuxFilesystem:
			fs := l.fileSystem(ctx, t, name, p.label, length, r)
			ok(t, insert(out, fs, start))
		}
	}
	return path
}

// fileSystem makes one of the medium's file systems as a file of its own.
func (l lab) fileSystem(ctx context.Context, t *testing.T, name, label string, size int64, r recipe) string {
	t.Helper()
	dir := filepath.Join(l.dir, name, label)
	ok(t, os.MkdirAll(dir, 0o755))
	uuid := "random"
	switch label {
	case "esos_root":
		if uuid = r.uuid; uuid == "" {
			uuid = firstUUID
		}
		for _, s := range []slot.Name{slot.Primary, slot.Secondary} {
			ok(t, os.CopyFS(filepath.Join(dir, string(s)), os.DirFS(l.slot)))
		}
		if r.root != nil {
			ok(t, r.root(dir))
		}
	case "esos_conf":
		upper := filepath.Join(l.dir, name, "upper")
		ok(t, os.MkdirAll(filepath.Join(upper, "etc"), 0o755))
		ok(t, os.WriteFile(filepath.Join(upper, "etc/saved"), []byte(saved), 0o644))
		_, err := persist.Save(ctx, dir, upper, persist.Options{Reason: "test"})
		ok(t, err)
	}
	path := dir + ".ext4"
	ok(t, run(ctx, "mkfs.ext4", "-q", "-F", "-L", label, "-U", uuid, "-E", "root_owner=0:0", "-d", dir, path, fmt.Sprintf("%dk", size>>10)))
	if r.file != nil {
		ok(t, r.file(label, path))
	}
	ok(t, os.RemoveAll(dir))
	return path
}

// insert copies a file into an image.
func insert(out io.WriterAt, path string, at int64) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(io.NewOffsetWriter(out, at), in)
	return err
}

// damage changes a byte in the middle of a file.
func damage(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, st.Size()/2)
	b[0] ^= 0x40
	_, writeErr := f.WriteAt(b, st.Size()/2)
	return errors.Join(err, writeErr)
}

func fillRandom(b []byte) {
	r := rand.NewChaCha8([32]byte{7})
	_, _ = r.Read(b)
}

// blank makes an empty drive.
func (l lab) blank(t *testing.T, name string, size int64) string {
	t.Helper()
	path := filepath.Join(l.dir, name+".img")
	f, err := os.Create(path)
	ok(t, err)
	defer f.Close()
	ok(t, f.Truncate(size))
	return path
}
