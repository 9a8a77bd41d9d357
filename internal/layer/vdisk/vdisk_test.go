package vdisk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/layertest"
	"github.com/esos-project/esos/internal/plan"
)

// tapes is a machine with one tape drive and one disk.
type tapes struct{ disk string }

func (s tapes) Find(path string) (host.SCSIDevice, error) {
	switch path {
	case "3:0:0:0", "/dev/tape/by-id/lto":
		return host.SCSIDevice{Address: "3:0:0:0", Type: 1, Node: "/dev/null"}, nil
	case "2:0:0:0":
		return host.SCSIDevice{Address: "2:0:0:0", Node: s.disk}, nil
	}
	return host.SCSIDevice{}, errors.New("find SCSI device " + path + ": this machine has none")
}

// blocks has one disk.
type blocks struct{ blind }

func (blocks) Stat(path string) (host.FileInfo, error) {
	if path != "/dev/sda" {
		return host.FileInfo{}, errors.New(path + " is neither a file nor a block device")
	}
	return host.FileInfo{Path: path, Size: 1 << 30, Block: true, ID: host.FileID{Device: 2048}}, nil
}

// A SCSI device that is missing is told before anything is touched; one that
// was served before is left out, and the rest goes on. A disk that is passed on
// is no block device besides.
func TestPassThrough(t *testing.T) {
	l := Layer{Files: blocks{}, SCSI: tapes{disk: "/dev/sda"}, DataDir: t.TempDir()}
	doc := &config.Document{Devices: []config.Device{
		{Name: "lto", Handler: config.PassTape, Path: "3:0:0:0"},
		{Name: "gone", Handler: config.PassTape, Path: "9:0:0:0"},
		{Name: "raw", Handler: config.PassDisk, Path: "2:0:0:0"},
		{Name: "block", Handler: config.BlockIO, Path: "/dev/sda"},
	}}
	p := layertest.Planned(t, l, doc, nil)
	text := fmt.Sprint(p.Problems)
	if len(p.Steps) != 0 || !strings.Contains(text, "device/gone") || !strings.Contains(text, "this machine has none") ||
		!strings.Contains(text, "device/block") || !strings.Contains(text, "is the store of device raw") || strings.Contains(text, "device/lto") {
		t.Errorf("steps %v, problems %v", p.Steps, p.Problems)
	}
	p = layertest.Planned(t, l, &config.Document{Devices: doc.Devices[:2]}, doc)
	if len(p.Problems) != 0 || !strings.Contains(fmt.Sprint(p.Notes), "left as it is") {
		t.Errorf("of what was served before: problems %v, notes %v", p.Problems, p.Notes)
	}
}

// On a real file system: an image is made, grown with progress, and a failed
// creation never removes a file that was not made by it.
func TestImages(t *testing.T) {
	dir := t.TempDir()
	l := Layer{Files: host.Files{}, DataDir: dir}
	path := filepath.Join(dir, "devices/a.img")
	doc := &config.Document{Devices: []config.Device{{Name: "a", Handler: config.FileIO, Path: "devices/a.img", Size: 1 << 20, Provisioning: config.Thick}}}

	create := layertest.Planned(t, l, doc, nil)
	if len(create.Steps) != 1 {
		t.Fatalf("steps: %v", create.Steps)
	}
	var fractions []float64
	report := func(f float64) { fractions = append(fractions, f) }
	if err := create.Steps[0].Do(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Size() != 1<<20 || st.Mode().Perm() != 0o600 {
		t.Fatalf("image: %v %v", st, err)
	}
	if len(fractions) == 0 || fractions[len(fractions)-1] != 1 {
		t.Errorf("progress: %v", fractions)
	}
	// The same plan once more, as if another one had been faster.
	late := layertest.Planned(t, Layer{Files: blind{}, DataDir: dir}, doc, nil)
	if err := late.Steps[0].Do(t.Context(), nil); err == nil {
		t.Error("a file that exists was made anew")
	}
	if err := late.Steps[0].Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("undo removed somebody's file: %v", err)
	}
	if err := create.Steps[0].Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("undo left the file that the step made")
	}

	if err := create.Steps[0].Do(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	larger := doc.Clone()
	larger.Devices[0].Size = 2 << 20
	grow := layertest.Planned(t, l, larger, doc)
	if err := grow.Steps[0].Do(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := grow.Steps[0].Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st, _ := os.Stat(path); st.Size() != 2<<20 {
		t.Errorf("a grown image has %d bytes after undo: it must never be cut", st.Size())
	}
}

// Whatever leads to a store: no two devices get it, what is served is not
// deleted, and the array's own files are none.
func TestOneStoreManyPaths(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := Layer{Files: host.Files{}, DataDir: dir}
	image := filepath.Join(dir, "devices/a.img")
	other := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(filepath.Dir(image), 0o700), os.WriteFile(image, make([]byte, 4096), 0o600),
		os.Link(image, filepath.Join(other, "hard")), os.Symlink(image, filepath.Join(other, "soft")),
		os.Mkdir(filepath.Join(dir, "revisions"), 0o700), os.WriteFile(filepath.Join(dir, "revisions/000001.yaml"), make([]byte, 4096), 0o600),
		os.Symlink(filepath.Join(dir, "revisions/000001.yaml"), filepath.Join(other, "revision")),
		os.Symlink(dir, filepath.Join(other, "data")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	on := func(path string) config.Device { return config.Device{Name: "b", Handler: config.FileIO, Path: path} }
	first := config.Device{Name: "a", Handler: config.FileIO, Path: "devices/a.img", Size: 4096}
	for _, path := range []string{image, "devices/../devices/a.img", filepath.Join(other, "hard"), filepath.Join(other, "soft"), filepath.Join(other, "data/devices/a.img")} {
		p := layertest.Planned(t, l, &config.Document{Devices: []config.Device{first, on(path)}}, nil)
		if len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Message, "device a") {
			t.Errorf("a second device on %s: %+v", path, p.Problems)
		}
		seen := &layer.Observed{InForce: &config.Document{Devices: []config.Device{first}}, Destroy: []string{"image/a"}}
		declared := &config.Document{Devices: []config.Device{on(path)}}
		if err := l.Observe(t.Context(), declared, seen); err != nil {
			t.Fatal(err)
		}
		var b plan.Builder
		l.Plan(declared, seen, &b)
		if p, err := b.Plan(); err != nil || len(p.Steps) > 0 {
			t.Errorf("an image that is served by way of %s is deleted: %+v, %v", path, p, err)
		}
	}
	for _, path := range []string{filepath.Join(dir, "revisions/000001.yaml"), filepath.Join(dir, "revisions/000002.yaml"), filepath.Join(dir, "api/key.pem"),
		filepath.Join(other, "revision"), filepath.Join(other, "data/revisions/000001.yaml")} {
		for _, h := range []config.Handler{config.FileIO, config.CDROM} {
			d := on(path)
			d.Handler, d.Size = h, 4096
			p := layertest.Planned(t, l, &config.Document{Devices: []config.Device{d}}, nil)
			if len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Message, "its own state") {
				t.Errorf("%s on %s: %+v", h, path, p)
			}
		}
	}
}

// blind sees no file.
type blind struct{ host.Files }

func (blind) Stat(string) (host.FileInfo, error) { return host.FileInfo{}, os.ErrNotExist }
