package scst

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/kernfs/scstfake"
)

// block is a block device of a size.
type block struct{ size int64 }

func (b *block) Stat(path string) (host.FileInfo, error) {
	return host.FileInfo{Path: path, Size: b.size, Block: true, ID: host.FileID{Device: 7}}, nil
}

func (*block) Grow(context.Context, string, int64, bool, func(int64)) error { return nil }

// TestBlockDevice: a volume is served as it is, and grows under its initiators
// when it has grown.
func TestBlockDevice(t *testing.T) {
	b := newBench(t, scstfake.Options{})
	volume := &block{1 << 30}
	b.opt.Files = volume
	b.start()
	b.kernel.Stat(func(string) (int64, error) { return volume.size, nil })
	d := b.disk("vol", config.BlockIO)
	d.Path, d.Size, d.WriteThrough = "/dev/mapper/vg-vol", 0, true
	b.ok(b.PutDevice(t.Context(), d))
	want := "write handlers/vdisk_blockio/mgmt add_device vol filename=/dev/mapper/vg-vol; write_through=1; nv_cache=0; bind_alua_state=0; blocksize=512; read_only=0; removable=0; rotational=0; t10_dev_id=" + d.Identity.T10ID
	if got := b.kernel.Requests()[0]; got != want {
		t.Errorf("request %q, want %q", got, want)
	}
	served := d.WithDefaults()
	served.Size = 1 << 30
	s, err := b.Observe(t.Context())
	b.ok(err)
	if diff := cmp.Diff([]config.Device{served}, s.Devices); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
	b.kernel.Requests()
	b.ok(b.PutDevice(t.Context(), d))
	volume.size = 3 << 30
	b.ok(b.PutDevice(t.Context(), d))
	if got := strings.Join(b.kernel.Requests(), "\n"); got != "write devices/vol/resync_size 1" {
		t.Errorf("growth is %q", got)
	}
	b.reads("devices/vol/size", "3221225472")
	d.Handler, d.Path = config.FileIO, "/dev/mapper/vg-vol"
	d.Name = "file"
	b.refused(b.PutDevice(t.Context(), d), "is a block device")
}

// TestCDROM: a medium is changed in the drive, and one with blanks in its name
// is no other.
func TestCDROM(t *testing.T) {
	b := newBench(t, scstfake.Options{})
	b.kernel.Stat(func(string) (int64, error) { return 4096, nil })
	b.opt.Files = iso{}
	b.start()
	d := config.Device{Name: "cd", Handler: config.CDROM}
	for _, medium := range []string{"", "/iso/one.iso", "/iso/and another.iso", "", "/iso/one.iso"} {
		d.Path = medium
		b.ok(b.PutDevice(t.Context(), d))
		b.reads("devices/cd/filename", medium)
		if s, err := b.Observe(t.Context()); err != nil || len(s.Devices) != 1 || s.Devices[0].Path != medium {
			t.Errorf("observed %+v, %v", s.Devices, err)
		}
	}
}

// iso is any file.
type iso struct{}

func (iso) Stat(path string) (host.FileInfo, error) {
	return host.FileInfo{Path: path, Size: 4096}, nil
}
func (iso) Grow(context.Context, string, int64, bool, func(int64)) error { return nil }

func TestPattern(t *testing.T) {
	for address, want := range map[string]string{
		":3260": "", "[::]:3260": "", "0.0.0.0:3260": "*.*.*.*", "192.0.2.1:3260": "192.0.2.1", "[2001:db8:0:0::1]:3260": "2001:db8::1", "[fe80::1%eth0]:3260": "fe80::1%eth0",
	} {
		if got := pattern(address); got != want {
			t.Errorf("%s is %q, want %q", address, got, want)
		}
	}
	portals := []config.Portal{{Name: "a", Address: "192.0.2.1:3260"}, {Name: "b", Address: ":3260"}, {Name: "c", Address: "192.0.2.1:3260"}}
	for names, want := range map[string]string{"a": "192.0.2.1", "b": "", "a b": "", "a c": "192.0.2.1", "none": "!*", "": ""} {
		if got := strings.Join(allowed(config.Target{Portals: strings.Fields(names)}, portals), " "); got != want {
			t.Errorf("portals %q are %q, want %q", names, got, want)
		}
	}
}
