package filesystem

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The answers in testdata are those of Debian 13's findmnt 2.41, xfsprogs 6.13,
// e2fsprogs 1.47.2 and btrfs-progs 6.14.
func TestMounts(t *testing.T) {
	got, err := parseMounts(testdata(t, "findmnt.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !got[0].ReadOnly || got[1].ReadOnly {
		t.Fatalf("%+v", got)
	}
	m, ok := At(got, "/mnt/vdisks/images/")
	want := Mount{Target: "/mnt/vdisks/images", Source: "/dev/mapper/vg0-images", Type: XFS, Size: 3153592320, Used: 94588928, Free: 3059003392,
		Options: []string{"rw", "nosuid", "nodev", "noexec", "noatime", "attr2", "inode64", "logbufs=8", "logbsize=64k", "sunit=128", "swidth=512", "noquota"}}
	if diff := cmp.Diff(want, m); !ok || diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, ok := At(got, "/mnt/vdisks"); ok {
		t.Error("a directory above a mount point is one")
	}
	if none, err := parseMounts(nil); err != nil || none != nil {
		t.Errorf("nothing: %v, %v", none, err)
	}
	if _, err := parseMounts([]byte("{")); err == nil {
		t.Error("half an answer is taken")
	}
}

func TestSpan(t *testing.T) {
	for _, c := range []struct {
		file  string
		parse func([]byte) (int64, bool)
	}{{"xfs.txt", parseXFS}, {"ext4.txt", parseExt4}, {"btrfs.txt", parseBtrfs}} {
		if got, ok := c.parse(testdata(t, c.file)); !ok || got != 512<<20 {
			t.Errorf("%s: %d %v", c.file, got, ok)
		}
		if got, ok := c.parse([]byte("nothing of the kind\n")); ok {
			t.Errorf("%s: nothing has %d bytes", c.file, got)
		}
	}
	two := append(testdata(t, "btrfs.txt"), "\tdevid    2 size 536870912 used 0 path /dev/vdb\n"...)
	if got, ok := parseBtrfs(two); ok {
		t.Errorf("a btrfs of two devices has %d bytes", got)
	}
	if got, ok := parseXFS([]byte("data     = bsize=4096   blocks=9223372036854775807, imaxpct=25")); ok {
		t.Errorf("more than there can be: %d", got)
	}
}

func TestFiles(t *testing.T) {
	got, err := parseFiles([]byte("1073741824\t8\tdb01.img\x0010\t0\tsub/odd\tname\n.img\x00"))
	want := []File{{"db01.img", 1 << 30, 4096}, {"sub/odd\tname\n.img", 10, 0}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"x\t8\ta\x00", "1\ty\ta\x00", "1\t8\x00"} {
		if _, err := parseFiles([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestDamage(t *testing.T) {
	if said := ext4Errors(testdata(t, "ext4.txt")); said != "" {
		t.Errorf("a clean one: %s", said)
	}
	if said := ext4Errors([]byte("Filesystem state:         clean with errors\nFS Error count:           3\n")); said != "Filesystem state: clean with errors; FS Error count: 3" {
		t.Errorf("errors: %q", said)
	}
	const good = "[/dev/vda].write_io_errs    0\n[/dev/vda].corruption_errs  0\n"
	if said := btrfsErrors([]byte(good)); said != "" {
		t.Errorf("a good one: %s", said)
	}
	if said := btrfsErrors([]byte(good + "[/dev/vda].generation_errs  2\n")); said != "[/dev/vda].generation_errs: 2" {
		t.Errorf("errors: %q", said)
	}
}

func FuzzAnswers(f *testing.F) {
	for _, name := range []string{"findmnt.json", "xfs.txt", "ext4.txt", "btrfs.txt"} {
		f.Add(testdata(f, name))
	}
	f.Add([]byte("1\t8\ta\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = parseMounts(text)
		for _, parse := range []func([]byte) (int64, bool){parseXFS, parseExt4, parseBtrfs} {
			if n, ok := parse(text); ok && n <= 0 {
				t.Errorf("%d bytes", n)
			}
		}
		if files, err := parseFiles(text); err == nil {
			for _, file := range files {
				_ = file.Path
			}
		}
		_, _ = ext4Errors(text), btrfsErrors(text)
	})
}
