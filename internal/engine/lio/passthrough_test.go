package lio

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
)

// scsi are the SCSI devices of a machine, by path and by address.
type scsi map[string]host.SCSIDevice

func (s scsi) Find(path string) (host.SCSIDevice, error) {
	for name, d := range s {
		if name == path || d.Address == path {
			return d, nil
		}
	}
	return host.SCSIDevice{}, errors.Join(errors.New("find SCSI device "+path+": this machine has none there"), fs.ErrNotExist)
}

const tape = "/dev/tape/by-id/scsi-35000e11168a4f001"

func newSCSIBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, liofake.Options{SCSI: map[string]int{"3:0:0:0": 1, "3:0:0:1": 8, "2:0:1:0": 0, "1:0:0:0": 5, "5:0:0:0": 12}})
	b.opt.SCSI = scsi{
		tape:             {Address: "3:0:0:0", Type: 1, Vendor: "IBM", Model: "ULTRIUM-HH7", Node: "/dev/sg1"},
		"/dev/sg2":       {Address: "3:0:0:1", Type: 8, Vendor: "IBM", Model: "3573-TL", Node: "/dev/sg2"},
		"/dev/sdb":       {Address: "2:0:1:0", Type: 0, Vendor: "SEAGATE", Model: "ST4000", Node: "/dev/sdb"},
		"/dev/sr0":       {Address: "1:0:0:0", Type: 5, Vendor: "ASUS", Model: "DRW", Node: "/dev/sg4"},
		"/dev/sg5":       {Address: "5:0:0:0", Type: 12, Vendor: "LSI", Model: "MR9261", Node: "/dev/sg5"},
		"/dev/sg9":       {Address: "9:0:0:0", Type: 1, Vendor: "HP", Model: "Ultrium", Node: "/dev/sg9"}, // known, but gone from the kernel
		"/dev/st0-alias": {Address: "3:0:0:0", Type: 1, Vendor: "IBM", Model: "ULTRIUM-HH7", Node: "/dev/sg1"},
	}
	b.start()
	return b
}

// TestPassThrough: SCSI devices are told as they were put, whatever word was
// used for where they are, and nothing of them is made up or set.
func TestPassThrough(t *testing.T) {
	b := newSCSIBench(t)
	ctx := b.Context()
	want := []config.Device{
		{Name: "cd", Handler: config.PassCDROM, Path: "1:0:0:0"},
		{Name: "changer", Handler: config.PassChanger, Path: "/dev/sg2"},
		{Name: "lto", Handler: config.PassTape, Path: tape},
		{Name: "raw", Handler: config.PassDisk, Path: "/dev/sdb"},
	}
	for _, d := range want {
		b.ok(b.PutDevice(ctx, d))
	}
	devices := func() []config.Device {
		s, err := b.Observe(ctx)
		b.ok(err)
		return s.Devices
	}
	if diff := cmp.Diff(want, devices()); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
	b.reads("core/pscsi_0/lto/udev_path", "/dev/sg1")
	b.reads("core/pscsi_0/raw/udev_path", "/dev/sdb")
	b.start()
	b.kernel.Requests()
	for _, d := range want {
		b.ok(b.PutDevice(ctx, d))
	}
	if asked := b.kernel.Requests(); len(asked) > 0 {
		t.Errorf("the same once more asked for %q", asked)
	}
	// Mapped and unmapped as any other.
	b.ok(b.PutTarget(ctx, config.Target{Name: iqn}))
	b.group("g", []string{alice}, config.LUN{LUN: 0, Device: "lto"})
	b.sees(alice, map[string]string{"lun_0": "lto rw"})
	b.refused(b.DeleteDevice(ctx, "lto"), "unmap it first")
	b.ok(b.DeleteLUN(ctx, iqn, "g", 0))
	b.ok(b.DeleteDevice(ctx, "lto"))
	if diff := cmp.Diff([]config.Device{want[0], want[1], want[3]}, devices()); diff != "" {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
}

func TestPassThroughRefused(t *testing.T) {
	b := newSCSIBench(t)
	ctx := b.Context()
	b.ok(b.PutDevice(ctx, config.Device{Name: "lto", Handler: config.PassTape, Path: tape}))
	b.ok(b.PutDevice(ctx, config.Device{Name: "raw", Handler: config.PassDisk, Path: "/dev/sdb"}))
	for _, c := range []struct {
		d     config.Device
		texts []string
	}{
		{config.Device{Name: "twice", Handler: config.PassTape, Path: "/dev/st0-alias"}, []string{"already served as device lto"}},
		{config.Device{Name: "none", Handler: config.PassTape, Path: "7:0:0:0"}, []string{"this machine has none"}},
		{config.Device{Name: "gone", Handler: config.PassTape, Path: "/dev/sg9"}, []string{"it is gone"}},
		{config.Device{Name: "other", Handler: config.PassTape, Path: "/dev/sg2"}, []string{"handler dev_changer", "3573-TL"}},
		{config.Device{Name: "raid", Handler: config.PassRAID, Path: "/dev/sg5"}, []string{"dev_raid", "engine: scst"}},
		{config.Device{Name: "as", Handler: config.PassDisk, Path: "/dev/sg5"}, []string{"type 12", "engine: scst"}},
		{config.Device{Name: "lto", Handler: config.PassTape, Path: "3:0:0:1"}, []string{"path", "anew"}},
	} {
		b.refused(b.PutDevice(ctx, c.d), c.texts...)
	}
	// The kernel gives it no access states: its ports say them themselves.
	g := config.DeviceGroup{Name: "g", Devices: []string{"raw"}, TargetGroups: []config.TargetGroup{{Name: "a", ID: 1}}}
	b.refused(b.PutDeviceGroup(ctx, g), "passed on as it is", "engine: scst")
	d := &config.Document{Devices: []config.Device{{Name: "raw", Handler: config.PassDisk, Path: "/dev/sdb"}}, DeviceGroups: []config.DeviceGroup{g}}
	if errs := Supports(d); len(errs) != 1 {
		t.Errorf("a document with it: %v", errs)
	} else {
		b.refused(errs[0], "device group g", "engine: scst")
	}
}

// A device whose setup was cut off anywhere is begun anew.
func TestPassThroughCutOff(t *testing.T) {
	want := config.Device{Name: "lto", Handler: config.PassTape, Path: tape}
	for n := range 20 {
		b := newSCSIBench(t)
		b.kernel.FailAfter(n)
		err := b.PutDevice(b.Context(), want)
		b.kernel.FailAfter(-1)
		b.start()
		b.ok(b.PutDevice(b.Context(), want))
		s, look := b.Observe(b.Context())
		b.ok(look)
		if diff := cmp.Diff([]config.Device{want}, s.Devices); diff != "" {
			t.Errorf("after %d requests (-want +got):\n%s", n, diff)
		}
		if err == nil {
			if n < 4 {
				t.Errorf("done after %d requests", n)
			}
			return
		}
	}
	t.Error("it never came to its end")
}
