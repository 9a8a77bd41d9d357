package vdisk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/layer/layertest"
	"github.com/esos-project/esos/internal/plan"
)

// box is an appliance: its root is an overlay, and one file system is mounted.
type box map[string]host.FileInfo

func (b box) Stat(path string) (host.FileInfo, error) {
	if fi, ok := b[path]; ok {
		return fi, nil
	}
	return host.FileInfo{}, &fs.PathError{Op: "look at", Path: path, Err: fs.ErrNotExist}
}

func (box) Volatile(dir string) (string, error) {
	switch {
	case strings.HasPrefix(dir+"/", "/mnt/vdisks/real/"):
		return "", nil
	case strings.HasPrefix(dir+"/", "/run/"):
		return "tmpfs", nil
	case strings.HasPrefix(dir+"/", "/broken/"):
		return "", errors.New("ask for the file system of /broken: input/output error")
	}
	return "overlay", nil
}

// The rest is host.Files', and must not be called by a plan.
type boxFiles struct {
	host.Files
	box
}

func (b boxFiles) Stat(path string) (host.FileInfo, error) { return b.box.Stat(path) }
func (b boxFiles) Volatile(dir string) (string, error)     { return b.box.Volatile(dir) }
func file(name, path string) config.Device {
	return config.Device{Name: name, Handler: config.FileIO, Path: path, Size: 4096}
}
func document(devices ...config.Device) *config.Document { return &config.Document{Devices: devices} }
func notes(list []plan.Note, blocked bool) (texts []string) {
	for _, n := range list {
		if !blocked || n.Degraded {
			texts = append(texts, n.Object+": "+n.Message)
		}
	}
	return texts
}

func TestVolatileImages(t *testing.T) {
	const advice = ": put it on a mounted file system, such as /mnt/vdisks/NAME/a.img, or use vdisk_blockio with a disk (vdisk_memory, if a disk in memory is what you want)"
	files := boxFiles{box: box{
		"/data/devices/old.img": {Size: 4096, ID: host.FileID{Device: 1, Inode: 1}}, "/mnt/vdisks/real/old.img": {Size: 4096, ID: host.FileID{Device: 2, Inode: 1}},
		"/dev/sdb": {Size: 1 << 30, Block: true, ID: host.FileID{Device: 3}}, "/run/boot.iso": {Size: 4096, ID: host.FileID{Device: 1, Inode: 9}},
	}}
	for name, tt := range map[string]struct {
		device   config.Device
		before   *config.Document
		problem  string
		degraded string
		note     string
		steps    int
	}{
		"new, in the data directory":   {device: file("a", "devices/a.img"), problem: "disk file devices/a.img would live in memory (overlay) and be gone at the next reboot" + advice},
		"new, not mounted":             {device: file("a", "/mnt/vdisks/other/a.img"), problem: "disk file /mnt/vdisks/other/a.img would live in memory (overlay) and be gone at the next reboot" + advice},
		"new, on a tmpfs":              {device: file("a", "/run/a.img"), problem: "disk file /run/a.img would live in memory (tmpfs) and be gone at the next reboot" + advice},
		"there already":                {device: file("a", "devices/old.img"), problem: "disk file devices/old.img lives in memory (overlay) and is gone at the next reboot" + advice},
		"cannot be told":               {device: file("a", "/broken/a.img"), problem: "ask for the file system of /broken: input/output error"},
		"new, on a file system":        {device: file("a", "/mnt/vdisks/real/a.img"), steps: 1},
		"there, on a file system":      {device: file("a", "/mnt/vdisks/real/old.img"), note: "/mnt/vdisks/real/old.img exists already (4 KiB); it is served with what it holds"},
		"declared before":              {device: file("a", "devices/old.img"), before: document(file("a", "devices/old.img")), degraded: "disk file devices/old.img lives in memory (overlay) and is gone at the next reboot" + advice + "; it is left as it is"},
		"declared before, not mounted": {device: file("a", "/mnt/vdisks/other/a.img"), before: document(file("a", "/mnt/vdisks/other/a.img")), degraded: "its image file /mnt/vdisks/other/a.img is missing; bring it back, or remove the device to give it up"},
		"a disk in memory":             {device: config.Device{Name: "a", Handler: config.Memory, Size: 4096}},
		"a disk":                       {device: config.Device{Name: "a", Handler: config.BlockIO, Path: "/dev/sdb"}},
		"a CD":                         {device: config.Device{Name: "a", Handler: config.CDROM, Path: "/run/boot.iso"}, note: "/run/boot.iso is in memory (tmpfs), and the drive is empty after a reboot"},
	} {
		t.Run(name, func(t *testing.T) {
			want := func(what, text string, got []string) {
				t.Helper()
				var texts []string
				if text != "" {
					object := "device/a: "
					if strings.Contains(text, "exists already") {
						object = "image/a: "
					}
					texts = []string{object + text}
				}
				if d := cmp.Diff(texts, got); d != "" {
					t.Errorf("%s (-want +got):\n%s", what, d)
				}
			}
			p := layertest.Planned(t, Layer{Files: files, DataDir: "/data", InMemory: true}, document(tt.device), tt.before)
			want("problems", tt.problem, notes(p.Problems, false))
			want("what is left out", tt.degraded, notes(p.Notes, true))
			if tt.degraded == "" {
				want("notes", tt.note, notes(p.Notes, false))
			}
			if len(p.Steps) != tt.steps {
				t.Errorf("steps: %+v", p.Steps)
			}
			// On a machine with a disk, none of this matters.
			p = layertest.Planned(t, Layer{Files: files, DataDir: "/data"}, document(tt.device), nil)
			for _, n := range append(p.Problems, p.Notes...) {
				if strings.Contains(n.Message, "memory") {
					t.Errorf("where the root is on a disk: %+v", n)
				}
			}
		})
	}
}

// A link's own directory does not matter, but where the file is.
func TestVolatileThroughLink(t *testing.T) {
	var shm host.Files
	if kind, err := shm.Volatile("/dev/shm"); kind != "tmpfs" {
		t.Skipf("needs a tmpfs at /dev/shm: %q, %v", kind, err)
	}
	image, err := os.CreateTemp("/dev/shm", "esos-*.img")
	if err != nil {
		t.Skipf("needs a tmpfs at /dev/shm: %v", err)
	}
	defer os.Remove(image.Name())
	defer image.Close()
	if err := image.Truncate(4096); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if kind, err := shm.Volatile(dir); kind != "" {
		t.Skipf("needs a directory for temporary files that is on a disk: %s is %q, %v", dir, kind, err)
	}
	link := filepath.Join(dir, "a.img")
	if err := os.Symlink(image.Name(), link); err != nil {
		t.Fatal(err)
	}
	l := Layer{Files: host.Files{}, DataDir: dir, InMemory: true}
	if p := layertest.Planned(t, l, document(file("a", link)), nil); len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Message, "lives in memory (tmpfs)") {
		t.Errorf("through a link: %+v", p.Problems)
	}
	if p := layertest.Planned(t, l, document(file("a", "devices/a.img")), nil); len(p.Problems) != 0 || len(p.Steps) != 1 {
		t.Errorf("on a disk: %+v", p)
	}
}
