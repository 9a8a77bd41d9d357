package store_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/store"
	"github.com/esos-project/esos/internal/host"
)

// disks are files of a directory; those below dev are block devices.
type disks struct{ host.Files }

func (d disks) Stat(path string) (host.FileInfo, error) {
	fi, err := d.Files.Stat(path)
	fi.Block = strings.Contains(path, "/dev/")
	return fi, err
}

func newStores(t *testing.T, files ...string) *store.Stores {
	t.Helper()
	s := &store.Stores{Files: disks{}, Dir: t.TempDir()}
	for _, name := range files {
		path := filepath.Join(s.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, 1<<16), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestResolve(t *testing.T) {
	s := store.Stores{Dir: "/data"}
	for p, want := range map[string]string{"": "", "d.img": "/data/d.img", "a/../d.img": "/data/d.img", "/dev/sda": "/dev/sda"} {
		if got := s.Resolve(p); got != want {
			t.Errorf("%q is %q, want %q", p, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		name string
		d    config.Device
		size int64
		want string // in the error
	}{
		{name: "as long as asked", d: config.Device{Handler: config.FileIO, Path: "d.img", Size: 1 << 16}, size: 1 << 16},
		{name: "grown", d: config.Device{Handler: config.FileIO, Path: "d.img", Size: 1 << 20}, size: 1 << 20},
		{name: "longer stays", d: config.Device{Handler: config.FileIO, Path: "d.img", Size: 1 << 12}, size: 1 << 16},
		{name: "lost", d: config.Device{Handler: config.FileIO, Path: "lost.img", Size: 1 << 16}, want: "lost.img"},
		{name: "no path", d: config.Device{Handler: config.FileIO, Size: 1 << 16}, want: "no such file"},
		{name: "a block device as a file", d: config.Device{Handler: config.FileIO, Path: "dev/sda"}, want: "vdisk_blockio serves"},
		{name: "a file as a block device", d: config.Device{Handler: config.BlockIO, Path: "d.img"}, want: "vdisk_fileio serves"},
		{name: "a block device", d: config.Device{Handler: config.BlockIO, Path: "dev/sda", Size: 1 << 20}, size: 1 << 16},
		{name: "an empty drive", d: config.Device{Handler: config.CDROM}},
		{name: "a medium", d: config.Device{Handler: config.CDROM, Path: "d.img"}, size: 1 << 16},
		{name: "memory", d: config.Device{Handler: config.Memory, Size: 1 << 20}},
		{name: "nothing", d: config.Device{Handler: config.NullIO, Size: 1 << 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStores(t, "d.img", "dev/sda")
			fi, err := s.Fit(t.Context(), c.d)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if err == nil && fi.Size != c.size {
				t.Errorf("%d bytes, want %d", fi.Size, c.size)
			}
			if err == nil && c.d.Path != "" {
				if on, err := os.Stat(s.Resolve(c.d.Path)); err != nil || on.Size() != c.size {
					t.Errorf("on disk: %v, %v", on, err)
				}
			}
			if _, err := os.Stat(filepath.Join(s.Dir, "lost.img")); !os.IsNotExist(err) {
				t.Errorf("a file that was lost is made: %v", err)
			}
		})
	}
}

// TestRefuseTwice: one file, whatever path leads to it, serves one device.
func TestRefuseTwice(t *testing.T) {
	s := newStores(t, "a.img", "b.img", "dev/sda")
	if err := os.Link(filepath.Join(s.Dir, "a.img"), filepath.Join(s.Dir, "same.img")); err != nil {
		t.Fatal(err)
	}
	a := config.Device{Name: "a", Handler: config.FileIO, Path: "a.img"}
	lost := config.Device{Name: "lost", Handler: config.FileIO, Path: "lost.img"}
	disk := config.Device{Name: "disk", Handler: config.BlockIO, Path: "dev/sda"}
	kernel, reads := map[string]bool{"a": true, "disk": true}, 0
	try := func(name string, h config.Handler, path string) error {
		d := config.Device{Name: name, Handler: h, Path: path}
		fi, err := s.Fit(context.Background(), d)
		if err != nil {
			t.Fatal(err)
		}
		return s.RefuseTwice(d, fi,
			func() error { reads++; s.Devices([]config.Device{a, lost, disk}); return nil },
			func(name string) (bool, error) { return kernel[name], nil })
	}
	refused := func(what string, err error, want bool) {
		t.Helper()
		if (err != nil) != want || err != nil && !strings.Contains(err.Error(), "already served as device a") {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("another file", try("b", config.FileIO, "b.img"), false)
	refused("the same by another name", try("b", config.FileIO, "same.img"), true)
	refused("the device itself", try("a", config.FileIO, "a.img"), false)
	refused("a block device", try("disk2", config.BlockIO, "dev/sda"), false)
	refused("a medium", try("cd", config.CDROM, "a.img"), false)
	kernel["a"] = false
	refused("of one that went unseen", try("b", config.FileIO, "same.img"), false)
	kernel["a"] = true
	s.Gone("a")
	refused("of one that went", try("b", config.FileIO, "same.img"), false)
	if fi, err := s.Fit(t.Context(), a); err != nil {
		t.Fatal(err)
	} else {
		s.Made(a, fi)
	}
	refused("of one that was made", try("b", config.FileIO, "same.img"), true)
	if reads != 1 {
		t.Errorf("all devices were read %d times, want once", reads)
	}
	failing := &store.Stores{Files: disks{}, Dir: s.Dir}
	fi, err := failing.Fit(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if err := failing.RefuseTwice(a, fi, func() error { return fs.ErrPermission }, nil); err == nil {
		t.Error("devices that cannot be read are taken for none")
	}
}
