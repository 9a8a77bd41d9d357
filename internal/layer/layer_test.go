package layer_test

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/alua"
	"github.com/esos-project/esos/internal/layer/device"
	"github.com/esos-project/esos/internal/layer/group"
	"github.com/esos-project/esos/internal/layer/lun"
	"github.com/esos-project/esos/internal/layer/portal"
	"github.com/esos-project/esos/internal/layer/target"
	"github.com/esos-project/esos/internal/layer/vdisk"
	"github.com/esos-project/esos/internal/plan"
)

var update = flag.Bool("update", false, "write golden files anew")

// disk is a host whose files are a map from path to size in bytes.
type disk map[string]int64

func (d disk) Stat(path string) (host.FileInfo, error) {
	size, ok := d[path]
	if !ok {
		return host.FileInfo{}, &fs.PathError{Op: "look at", Path: path, Err: fs.ErrNotExist}
	}
	if size < 0 {
		return host.FileInfo{}, errors.New("look at " + path + ": permission denied")
	}
	return host.FileInfo{Path: path, Size: size, Allocated: size / 4, Block: strings.HasPrefix(path, "/dev/")}, nil
}

func (d disk) Create(_ context.Context, path string, size int64, _ bool, _ func(int64)) error {
	if _, ok := d[path]; ok {
		return fs.ErrExist
	}
	d[path] = size
	return nil
}

func (d disk) Grow(_ context.Context, path string, size int64, _ bool, _ func(int64)) error {
	d[path] = max(size, d[path])
	return nil
}

func (d disk) Remove(path string) error {
	delete(d, path)
	return nil
}

func (d disk) Volatile(string) (string, error) { return "", nil }

func stack(e engine.Engine, d disk) []layer.Layer {
	return []layer.Layer{vdisk.Layer{Files: d, DataDir: "/data"}, device.Layer{Engine: e}, portal.Layer{Engine: e},
		target.Layer{Engine: e}, group.Layer{Engine: e}, lun.Layer{Engine: e}, alua.Layer{Engine: e}}
}

func planned(t *testing.T, e engine.Engine, d disk, inForce, declared *config.Document, destroy ...string) *plan.Plan {
	t.Helper()
	seen := &layer.Observed{InForce: inForce, Destroy: destroy}
	var b plan.Builder
	for _, l := range stack(e, d) {
		if err := l.Observe(t.Context(), declared, seen); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range stack(e, d) {
		b.Layer()
		l.Plan(declared, seen, &b)
	}
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serve brings an engine and a disk to what a document declares.
func serve(t *testing.T, e engine.Engine, d disk, doc *config.Document) {
	t.Helper()
	if _, err := (plan.Runner{}).Run(t.Context(), planned(t, e, d, nil, doc)); err != nil {
		t.Fatal(err)
	}
}

const (
	vmware = "iqn.2026-11.com.example:vmware"
	lab    = "iqn.2026-11.com.example:lab"
)

// Each case edits a document that is served, or what there is of it. The
// golden file is the plan; carried out, nothing must be left to do.
func TestPlans(t *testing.T) {
	memory := func(d *config.Document) *config.Device { v, _ := d.FindDevice("scratch"); return v }
	for _, c := range []struct {
		name    string
		example string
		fresh   bool                          // nothing is served yet, nothing in force
		edit    func(d *config.Document)      // the wish
		tamper  func(d disk, e engine.Engine) // what happened to the machine meanwhile
		named   []string
		stays   bool // the plan leads not to what is declared
	}{
		{name: "first", example: "hosts", fresh: true},
		{name: "first-alua", example: "alua", fresh: true},
		{name: "existing-image", example: "minimal", fresh: true, tamper: func(d disk, _ engine.Engine) { d["/data/devices/disk01.img"] = 10 << 30 }},
		{name: "larger-image", example: "minimal", fresh: true, tamper: func(d disk, _ engine.Engine) { d["/data/devices/disk01.img"] = 20 << 30 }, stays: true},
		{name: "another-path", example: "minimal", edit: func(d *config.Document) { d.Devices[0].Path = "/other/disk.img" }, named: []string{"image/disk01"}},
		{name: "another-handler", example: "minimal", edit: func(d *config.Document) { d.Devices[0].Handler, d.Devices[0].Path = config.Memory, "" }},
		{name: "smaller-image", example: "minimal", fresh: true, tamper: func(d disk, _ engine.Engine) { d["/data/devices/disk01.img"] = 1 << 30 }},
		{name: "unreadable-image", example: "minimal", fresh: true, tamper: func(d disk, _ engine.Engine) { d["/data/devices/disk01.img"] = -1 }, stays: true},
		{name: "same", example: "hosts", edit: func(*config.Document) {}},
		{name: "grow", example: "hosts", edit: func(d *config.Document) { d.Devices[0].Size *= 2; memory(d).Size *= 2 }},
		{name: "shrink", example: "hosts", edit: func(d *config.Document) { d.Devices[0].Size /= 2; memory(d).Size /= 2 }, stays: true},
		{name: "block-size", example: "hosts", edit: func(d *config.Document) { d.Devices[2].BlockSize = 4096 }, named: []string{"device/datastore"}},
		{name: "remove-device", example: "hosts", edit: func(d *config.Document) { _ = d.RemoveDevice("datastore", true) }, named: []string{"device/datastore"}},
		{name: "remove-image", example: "hosts", edit: func(d *config.Document) { _ = d.RemoveDevice("archive", true) }, named: []string{"image/archive"}},
		{name: "remove-memory", example: "hosts", edit: func(d *config.Document) { _ = d.RemoveDevice("scratch", true) }, named: []string{"device/scratch"}},
		{name: "rename-device", example: "hosts", edit: func(d *config.Document) {
			v, _ := d.FindDevice("archive")
			v.Name = "cellar"
			d.Targets[0].Groups[2].LUNs[0].Device = "cellar"
		}},
		{name: "remap", example: "hosts", edit: func(d *config.Document) {
			d.Targets[0].Groups[0].LUNs[1] = config.LUN{LUN: 1, Device: "archive", ReadOnly: true}
			d.Targets[0].LUNs = []config.LUN{{LUN: 0, Device: "bench"}}
		}},
		{name: "groups", example: "hosts", edit: func(d *config.Document) {
			_ = d.RemoveGroup(vmware, "esx2")
			d.Targets[0].Groups[0].Initiators = []string{"*"}
			_ = d.AddGroup(lab, config.Group{Name: "late", Initiators: []string{"iqn.1993-08.org.debian:z"}, LUNs: []config.LUN{{LUN: 0, Device: "bench"}}})
		}},
		{name: "remove-target", example: "hosts", edit: func(d *config.Document) { _ = d.RemoveTarget(vmware) }, named: []string{"target/" + vmware}},
		{name: "disable-target", example: "hosts", edit: func(d *config.Document) { d.Targets[0].Disabled = true; d.Targets[1].Alias = "lab" }},
		{name: "portals", example: "hosts", edit: func(d *config.Document) {
			d.ISCSI.Portals = []config.Portal{{Name: "new", Address: "[::1]:3260"}, {Name: "local", Address: "127.0.0.1:3261"}}
			d.ISCSI.Discovery.Users = []config.CHAPUser{{Name: "u", Secret: "example-secret"}}
		}},
		{name: "swap-portals", example: "hosts", edit: func(d *config.Document) {
			p := d.ISCSI.Portals
			p[0].Address, p[1].Address = p[1].Address, p[0].Address
		}},
		{name: "access-state", example: "alua", edit: func(d *config.Document) {
			d.DeviceGroups[0].TargetGroups[0].State = "standby"
			d.DeviceGroups = append(d.DeviceGroups, config.DeviceGroup{Name: "empty"})
		}},
		{name: "another-driver", example: "minimal", edit: func(d *config.Document) { d.Targets[0].Driver = config.DriverLocal }, stays: true},
		{name: "no-alua", example: "alua", edit: func(d *config.Document) { d.DeviceGroups = nil }},
		{name: "insert", example: "cdrom", edit: func(d *config.Document) { d.Devices[0].Path = "/iso/debian.iso" },
			tamper: func(d disk, _ engine.Engine) { d["/iso/debian.iso"] = 1 << 20 }},
		{name: "insert-missing", example: "cdrom", edit: func(d *config.Document) { d.Devices[0].Path = "/iso/debain.iso" }, stays: true},
		{name: "image-lost", example: "hosts", edit: func(d *config.Document) { d.Targets[1].Alias = "lab" },
			tamper: func(d disk, e engine.Engine) {
				delete(d, "/data/devices/datastore.img")
				e.(*enginetest.Memory).Forget()
			}, stays: true},
		{name: "image-larger", example: "hosts", edit: func(*config.Document) {}, tamper: func(d disk, _ engine.Engine) { d["/data/devices/datastore.img"] *= 2 }},
		{name: "foreign", example: "minimal", edit: func(*config.Document) {}, tamper: func(_ disk, e engine.Engine) {
			_ = e.PutDevice(context.Background(), config.Device{Name: "x", Handler: config.NullIO, Size: 512})
			_ = e.PutTarget(context.Background(), config.Target{Name: lab})
			_ = e.PutLUN(context.Background(), lab, "", config.LUN{Device: "x"})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, _, err := config.Load("../../examples/" + c.example + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			doc.ID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
			if err := config.Complete(doc, nil); err != nil {
				t.Fatal(err)
			}
			e, d := &enginetest.Memory{}, disk{}
			declared, inForce := doc.Clone(), doc
			if c.fresh {
				inForce = nil
			} else {
				serve(t, e, d, doc)
				c.edit(declared)
				if err := config.Complete(declared, doc); err != nil {
					t.Fatal(err)
				}
				e.SetSessions(engine.Session{ID: "1", Target: vmware, Group: "esx1", Portal: "local"},
					engine.Session{ID: "2", Target: vmware, Group: "esx2", Portal: "local6"},
					engine.Session{ID: "3", Target: vmware, Group: "esx2", Portal: "local"})
			}
			if c.tamper != nil {
				c.tamper(d, e)
			}
			p := planned(t, e, d, inForce, declared, c.named...)
			text := p.Text(c.named)
			if len(c.named) > 0 {
				text = planned(t, e, d, inForce, declared).Text(nil) + "--- with " + strings.Join(c.named, ", ") + " named\n" + text
			}
			golden(t, c.name+".txt", text)
			if c.stays {
				return
			}
			if needs := p.Needs(c.named); len(needs) > 0 || len(p.Problems) > 0 {
				t.Fatalf("refused: %q %v", needs, p.Problems)
			}
			if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if again := planned(t, e, d, declared, declared); !again.Empty() {
				t.Errorf("carried out, there is still to do:\n%s", again.Text(nil))
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
