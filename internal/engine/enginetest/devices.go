package enginetest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

func devicesComeAndGo(l *lab) {
	ctx := l.Context()
	l.image("file.img", 8<<20)
	l.ok(os.WriteFile(filepath.Join(l.DataDir, "cd.iso"), bytes.Repeat([]byte("ISO!"), 4096), 0o600))
	thick := disk("thick", config.FileIO, 1<<20)
	thick.Provisioning, thick.BlockSize, thick.WriteThrough, thick.Rotational = config.Thick, 4096, true, true
	l.image("thick.img", 1<<20)
	want := []config.Device{
		{Name: "cd", Handler: config.CDROM, Path: "cd.iso"},
		{Name: "drive", Handler: config.CDROM},
		disk("file", config.FileIO, 8<<20),
		disk("mem", config.Memory, 1<<20),
		disk("null", config.NullIO, 1<<30),
		thick,
	}
	want = l.trim(config.Document{Devices: want}).Devices
	for i, d := range want {
		want[i] = d.WithDefaults()
		l.ok(l.Engine.PutDevice(ctx, d))
		if d.Name == "cd" {
			want[i].Size = 16384 // the real one
		}
	}
	l.same("devices", want, l.observe().Devices)
	for _, d := range want {
		l.ok(l.Engine.PutDevice(ctx, d))
	}
	l.same("devices put twice", want, l.observe().Devices)
	for _, d := range want {
		l.ok(l.Engine.DeleteDevice(ctx, d.Name))
		l.ok(l.Engine.DeleteDevice(ctx, d.Name))
	}
	if left := l.observe().Devices; len(left) != 0 {
		l.Errorf("devices left: %v", left)
	}
	// What was deleted can be had again: nothing holds its file any more.
	for _, d := range want {
		if d.Name == "file" {
			l.ok(l.Engine.PutDevice(ctx, d))
		}
	}
}

func devicesRefuse(l *lab) {
	ctx := l.Context()
	l.image("a.img", 1<<20)
	l.image("b.img", 1<<20)
	a := disk("a", config.FileIO, 1<<20)
	l.ok(l.Engine.PutDevice(ctx, a))
	for name, change := range map[string]func(*config.Device){
		"block_size":    func(d *config.Device) { d.BlockSize = 4096 },
		"handler":       func(d *config.Device) { d.Handler, d.Path, d.Provisioning = config.NullIO, "", "" },
		"read_only":     func(d *config.Device) { d.ReadOnly = true },
		"write_through": func(d *config.Device) { d.WriteThrough = true },
		"identity":      func(d *config.Device) { d.Identity.Serial = "another" },
		"path":          func(d *config.Device) { d.Path = "b.img" },
	} {
		b := a
		change(&b)
		if said := l.refused("changed "+name, l.Engine.PutDevice(ctx, b)); !strings.Contains(said, name) {
			l.Errorf("changed %s: the error does not name it: %s", name, said)
		}
	}
	l.same("devices after refusals", []config.Device{a}, l.observe().Devices)

	missing := disk("missing", config.FileIO, 1<<20)
	if said := l.refused("a missing file", l.Engine.PutDevice(ctx, missing)); !strings.Contains(said, "missing.img") {
		l.Errorf("a missing file is not named: %s", said)
	}
	twice := disk("twice", config.FileIO, 1<<20)
	twice.Path = a.Path
	l.refused("one file in two devices", l.Engine.PutDevice(ctx, twice))
	file := disk("file", config.BlockIO, 0)
	file.Path = filepath.Join(l.DataDir, a.Path)
	l.refused("a file as a block device", l.Engine.PutDevice(ctx, file))
	l.refused("an unknown handler", l.Engine.PutDevice(ctx, config.Device{Name: "x", Handler: "dev_none"}))
	l.refused("an empty memory disk", l.Engine.PutDevice(ctx, disk("none", config.Memory, 0)))
	if l.NoMemory {
		return
	}
	mem := disk("mem", config.Memory, 1<<20)
	l.ok(l.Engine.PutDevice(ctx, mem))
	mem.Size /= 2
	l.refused("a smaller memory disk", l.Engine.PutDevice(ctx, mem))
}

func deviceGrows(l *lab) {
	ctx := l.Context()
	address := l.serve()
	l.image("file.img", 1<<20)
	file := disk("file", config.FileIO, 1<<20)
	l.ok(l.Engine.PutDevice(ctx, file))
	l.ok(l.Engine.PutLUN(ctx, iqn, "", config.LUN{LUN: 1, Device: "file"}))
	s := l.login(address, alice)
	_, err := s.Attentions(1)
	l.ok(err)
	l.ok(s.Write(1, 2047, bytes.Repeat([]byte{0xa5}, 512), 512, false))

	grown := map[uint16]config.Device{0: l.memory("disk0", 3<<20), 1: disk("file", config.FileIO, 3<<20)}
	if l.Lacks.Memory {
		l.refused("growth of a memory disk", l.Engine.PutDevice(ctx, grown[0]))
		delete(grown, 0)
	}
	for lun, d := range grown {
		l.ok(l.Engine.PutDevice(ctx, d))
		if !l.Lacks.Growth {
			l.attention(s, lun, 0x2a09) // CAPACITY DATA HAS CHANGED
		}
		blocks, _, err := s.Capacity(lun)
		l.ok(err)
		if blocks != 3<<20/512 {
			l.Errorf("LUN %d has %d blocks, want %d", lun, blocks, 3<<20/512)
		}
		l.ok(s.Write(lun, blocks-1, make([]byte, 512), 512, true))
	}
	got, err := s.Read(1, 2047, 1, 512)
	l.ok(err)
	if !bytes.Equal(got, bytes.Repeat([]byte{0xa5}, 512)) {
		l.Errorf("what was written before the growth reads % x...", got[:8])
	}
	// A file that is larger than asked is never cut.
	l.ok(l.Engine.PutDevice(ctx, file))
	if st, err := os.Stat(filepath.Join(l.DataDir, "file.img")); err != nil || st.Size() != 3<<20 {
		l.Errorf("the image file has %d bytes (%v), want them all", st.Size(), err)
	}
}

func mappedDeviceStays(l *lab) {
	ctx := l.Context()
	l.serve()
	l.ok(l.Engine.PutTarget(ctx, config.Target{Name: named, RelativeIDs: map[int]int{1: 2}}))
	l.ok(l.Engine.PutGroup(ctx, named, config.Group{Name: "hosts", Initiators: []string{alice}}))
	l.ok(l.Engine.PutDevice(ctx, l.memory("disk1", 1<<20)))
	l.ok(l.Engine.PutLUN(ctx, named, "hosts", config.LUN{LUN: 7, Device: "disk1"}))
	said := l.refused("deletion of a mapped device", l.Engine.DeleteDevice(ctx, "disk1"))
	for _, part := range []string{"disk1", "LUN 7", "hosts", named} {
		if !strings.Contains(said, part) {
			l.Errorf("the refusal does not name %s: %s", part, said)
		}
	}
	l.ok(l.Engine.DeleteLUN(ctx, named, "hosts", 7))
	l.ok(l.Engine.DeleteDevice(ctx, "disk1"))
	l.refused("a LUN of a missing device", l.Engine.PutLUN(ctx, named, "hosts", config.LUN{LUN: 1, Device: "disk1"}))
	l.refused("a LUN of a missing group", l.Engine.PutLUN(ctx, iqn, "nobody", config.LUN{LUN: 1, Device: "disk0"}))
	l.refused("a LUN of a missing target", l.Engine.PutLUN(ctx, iqn+"2", "", config.LUN{LUN: 1, Device: "disk0"}))
	l.refused("a group of a missing target", l.Engine.PutGroup(ctx, iqn+"2", config.Group{Name: "g"}))
	l.refused("a LUN out of range", l.Engine.PutLUN(ctx, iqn, "", config.LUN{LUN: 16384, Device: "disk0"}))
}

func cdromTakesAnotherMedium(l *lab) {
	ctx := l.Context()
	address := l.serve()
	for name, fill := range map[string]string{"one.iso": "1", "two.iso": "2"} {
		l.ok(os.WriteFile(filepath.Join(l.DataDir, name), bytes.Repeat([]byte(fill), 64<<10), 0o600))
	}
	cd := config.Device{Name: "cd", Handler: config.CDROM, Path: "one.iso"}
	if len(l.Engine.Supports(&config.Document{Devices: []config.Device{cd}})) > 0 {
		l.refused("a CD-ROM drive, which Supports refuses", l.Engine.PutDevice(ctx, cd))
		return
	}
	l.ok(l.Engine.PutDevice(ctx, cd))
	l.ok(l.Engine.PutLUN(ctx, iqn, "", config.LUN{LUN: 2, Device: "cd"}))
	s := l.login(address, alice)
	read := []byte{0x28, 0, 0, 0, 0, 3, 0, 0, 1, 0} // READ(10)
	for _, step := range []struct{ path, want string }{{"one.iso", "1"}, {"two.iso", "2"}, {"", ""}, {"one.iso", "1"}} {
		cd.Path = step.path
		l.ok(l.Engine.PutDevice(ctx, cd))
		got := l.observe().Devices
		if i := len(got) - 2; got[i].Path != step.path { // cd, disk0
			l.Errorf("observed medium %q, want %q", got[i].Path, step.path)
		}
		_, err := s.Attentions(2)
		l.ok(err)
		r, err := s.Do(2, read, nil, 2048)
		l.ok(err)
		switch {
		case step.want == "" && r.Code()>>8 != 0x3a: // MEDIUM NOT PRESENT
			l.Errorf("empty drive: status %#x, code %04x", r.Status, r.Code())
		case step.want != "" && !bytes.Equal(r.In, bytes.Repeat([]byte(step.want), 2048)):
			l.Errorf("%s: status %#x, code %04x, %d bytes", step.path, r.Status, r.Code(), len(r.In))
		}
	}
}
