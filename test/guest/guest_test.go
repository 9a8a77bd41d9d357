package guest

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/level"
)

func TestParseURIs(t *testing.T) {
	const out = `Reading package lists...
'http://mirror.example/pool/main/u/udev/udev_252_amd64.deb' udev_252_amd64.deb 1720824 SHA256:00
Need to get 3 MB of archives.
'http://mirror.example/pool/b/busybox_1%3a1.35_amd64.deb' busybox_1%3a1.35_amd64.deb 928188 MD5Sum:00
'http://mirror.example/odd' odd 1
`
	want := []deb{{"busybox_1%3a1.35_amd64.deb", 928188}, {"udev_252_amd64.deb", 1720824}}
	if diff := cmp.Diff(want, parseURIs(out), cmp.AllowUnexported(deb{})); diff != "" {
		t.Errorf("parseURIs (-want +got):\n%s", diff)
	}
}

func TestBootSectors(t *testing.T) {
	boot := bytes.Repeat([]byte{0x11}, sectorSize)
	core := bytes.Repeat([]byte{0x22}, 5*sectorSize+7)
	head, err := bootSectors(boot, core)
	if err != nil {
		t.Fatal(err)
	}
	if got := binary.LittleEndian.Uint64(head[0x5c:]); got != 1 {
		t.Errorf("core image at sector %d, want 1", got)
	}
	if got := binary.LittleEndian.Uint32(head[446+8:]); got != partitionStart {
		t.Errorf("partition at sector %d, want %d", got, partitionStart)
	}
	if got := binary.LittleEndian.Uint16(head[sectorSize+0x1f4+8:]); got != 5 {
		t.Errorf("first core sector loads %d more, want 5", got)
	}
	if head[510] != 0x55 || head[511] != 0xaa {
		t.Error("no boot signature")
	}
	if _, err := bootSectors(boot, make([]byte, partitionStart*sectorSize)); err == nil {
		t.Error("a core image that reaches into the partition was taken")
	}
}

func TestCPIO(t *testing.T) {
	var b bytes.Buffer
	w := &cpioWriter{w: &b}
	w.file("a", 0o644, []byte("xyz"))
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	const zeros = "00000000"
	want := "070701" + "00000001" + "000081a4" + zeros + zeros + "00000001" + zeros + "00000003" +
		zeros + zeros + zeros + zeros + "00000002" + zeros + "a\x00" + "xyz\x00"
	if got := b.String(); got[:len(want)] != want {
		t.Errorf("first entry\n got %q\nwant %q", got[:len(want)], want)
	}
	if b.Len()%4 != 0 {
		t.Errorf("archive of %d bytes is not padded", b.Len())
	}
}

// TestDirectBoot shows that the image comes up and that its agent answers.
func TestDirectBoot(t *testing.T) {
	level.Require(t, level.Full)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	image, err := Build(ctx, level.Cache(t), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Start(ctx, vm.Config{
		Dir: level.ShortDir(t), Memory: 512, CPUs: 2,
		Kernel: image.Kernel, Initrd: image.Initrd, Append: Append,
		Drives: []vm.Drive{{File: image.Disk, Snapshot: true}}, Network: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	start := time.Now()
	if err := m.WaitFor(ctx, Marker); err != nil {
		t.Fatal(err)
	}
	t.Logf("up after %.0f s", time.Since(start).Seconds())
	sh, err := m.Shell(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer sh.Close()
	for _, tool := range []string{"iscsid --version", "iscsiadm --version", "multipath -h", "fio --version", "sg_inq --version", "mkfs.xfs -V", "mkfs.ext4 -V", "modprobe iscsi_tcp", "modprobe dm_multipath"} {
		out, err := sh.Run(ctx, tool)
		if err != nil && tool != "multipath -h" {
			t.Errorf("%v", err)
		}
		t.Logf("%s: %.60q", tool, out)
	}
}
