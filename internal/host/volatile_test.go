package host

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestVolatileType(t *testing.T) {
	for magic, want := range map[int64]string{0x01021994: "tmpfs", 0x858458f6: "ramfs", 0x794c7630: "overlay", 0xef53: "", 0x58465342: "", 0x9123683e: "", 0x6969: ""} {
		if got := volatileType(magic); got != want {
			t.Errorf("type %#x is %q, want %q", magic, got, want)
		}
	}
}

func TestVolatile(t *testing.T) {
	var st unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		t.Skipf("needs a tmpfs at /dev/shm: %v", err)
	}
	for dir, want := range map[string]string{"/dev/shm": "tmpfs", "/dev/shm/none/of/these": "tmpfs", "/proc": "", "/proc/none": ""} {
		if got, err := (Files{}).Volatile(dir); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", dir, got, err, want)
		}
	}
	// A link leads to where the files will be.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/dev/shm", link); err != nil {
		t.Fatal(err)
	}
	if got, err := (Files{}).Volatile(filepath.Join(link, "below")); err != nil || got != "tmpfs" {
		t.Errorf("through a link: %q, %v", got, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := (Files{}).Volatile(filepath.Join(file, "below")); err == nil {
		t.Errorf("below a file: %q", got)
	}
}
