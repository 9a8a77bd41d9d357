package vdisk

import (
	"errors"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

const mount = plan.ID("create filesystem/images")

// planArriving plans for one device on a file system that a step of the plan
// mounts, or that is blocked for the reason given.
func planArriving(t *testing.T, m *storagefake.Machine, d config.Device, before *config.Document, blocked string) *plan.Plan {
	t.Helper()
	doc := &config.Document{Devices: []config.Device{d}, Storage: config.Storage{FileSystems: []config.FileSystem{{Name: "images", Device: "/dev/vda"}}},
		NVMe: config.NVMe{Subsystems: []config.NVMeSubsystem{{NQN: "nqn.x", Namespaces: []config.NVMeNamespace{{NSID: 1, Device: d.Name}}}}}}
	l := Layer{Files: storagefake.Images{Machine: m}, DataDir: "/data", InMemory: true}
	seen := &layer.Observed{InForce: before}
	if err := l.Observe(t.Context(), doc, seen); err != nil {
		t.Fatal(err)
	}
	var b plan.Builder
	if blocked != "" {
		b.Block("filesystem/images", "%s", blocked)
	} else {
		b.Add(plan.Step{ID: mount, Object: "filesystem/images", Action: plan.Create})
		b.Comes("/mnt/vdisks/images", plan.Coming{Step: mount})
		b.Comes("/dev/vg0/db", plan.Coming{Step: mount, Size: 1 << 30})
	}
	l.Plan(doc, seen, &b)
	b.Layer()
	b.Add(plan.Step{Object: "device/" + d.Name, Action: plan.Create, Phase: plan.Prepare})
	b.Add(plan.Step{Object: config.NamespaceObject("nqn.x", 1), Action: plan.Create, Phase: plan.Prepare})
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestArriving: what serves a store waits for the step that brings it, and an
// image that was declared before is never made anew.
func TestArriving(t *testing.T) {
	image := config.Device{Name: "db", Handler: config.FileIO, Path: "/mnt/vdisks/images/db.img", Size: 2 << 20}
	with := func(size config.Size) config.Device { d := image; d.Size = size; return d }
	inForce := func(size config.Size) *config.Document { return &config.Document{Devices: []config.Device{with(size)}} }
	for _, c := range []struct {
		name   string
		device config.Device
		before *config.Document
		there  int64  // size of the image that is found once it is mounted; 0 for none
		image  string // how its step ends: "" none, "ok", or a part of the error
		size   int64  // of the image at the end
	}{
		{name: "new", device: image, image: "ok", size: 2 << 20},
		{name: "taken up", device: with(0), there: 3 << 20, image: "ok", size: 3 << 20},
		{name: "taken up and grown", device: image, there: 1 << 20, image: "ok", size: 2 << 20},
		{name: "taken up, larger", device: image, there: 3 << 20, image: "more than", size: 3 << 20},
		{name: "no size, none there", device: with(0), image: "give device db a size"},
		{name: "boot", device: image, before: inForce(2 << 20), there: 2 << 20, size: 2 << 20},
		{name: "boot, and lost", device: image, before: inForce(2 << 20)},
		{name: "boot and grow", device: image, before: inForce(1 << 20), there: 1 << 20, image: "ok", size: 2 << 20},
		{name: "boot and grow, lost", device: image, before: inForce(1 << 20), image: "is missing"},
		{name: "block", device: config.Device{Name: "db", Handler: config.BlockIO, Path: "/dev/vg0/db"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := storagefake.New()
			m.Disk("vda", "data01", 1<<30)
			p := planArriving(t, m, c.device, c.before, "")
			if len(p.Problems) > 0 {
				t.Fatalf("refused: %v", p.Problems)
			}
			if p.Steps[0].ID != mount {
				t.Errorf("something does not wait:\n%s", p.Text(nil))
			}
			for _, err := range []error{m.Run("mkfs.xfs", "-m", "uuid=u", "-L", "x", "/dev/vda"), m.MakeDir("/mnt/vdisks/images", 0o755),
				m.Run("mount", "-t", "xfs", "-o", "rw", "/dev/vda", "/mnt/vdisks/images")} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if c.there > 0 {
				if err := m.Store(image.Path, c.there); err != nil {
					t.Fatal(err)
				}
			}
			found := false
			for i := range p.Steps {
				s := &p.Steps[i]
				if s.Object != "image/db" {
					continue
				}
				found = true
				err := s.Do(t.Context(), nil)
				if ok := c.image == "ok"; ok != (err == nil) || !ok && !strings.Contains(errors.Join(err).Error(), c.image) {
					t.Errorf("%s: %v", s.Sentence, err)
				}
			}
			if found != (c.image != "") {
				t.Errorf("a step for the image: %v\n%s", found, p.Text(nil))
			}
			fi, err := storagefake.Images{Machine: m}.Stat(image.Path)
			if (err == nil) != (c.size > 0) || fi.Size != c.size {
				t.Errorf("the image has %d bytes, %v", fi.Size, err)
			}
		})
	}
	p := planArriving(t, storagefake.New(), image, inForce(2<<20), "its disk is pulled")
	if len(p.Problems) > 0 || len(p.Notes) != 2 || !strings.Contains(p.Notes[1].Message, "its disk is pulled") || !p.Notes[1].Degraded {
		t.Errorf("on a file system that is blocked: %+v", p.Notes)
	}
	if p = planArriving(t, storagefake.New(), image, nil, "its disk is pulled"); len(p.Problems) != 1 {
		t.Errorf("new on a file system that is blocked: %+v", p)
	}
}
