package appliance_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/lio"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
)

// TestLIOAtScale serves 1,000 devices as 1,000 LUNs of 200 groups on 50
// targets through the LIO engine, on an imitated kernel, and counts what the
// kernel is asked for: by the whole, by the next daemon, and by one changed
// line.
func TestLIOAtScale(t *testing.T) {
	dir := t.TempDir()
	kernel := liofake.New(liofake.Options{RTPI: true})
	quiet := slog.New(slog.DiscardHandler)
	begin := func() (*appliance.Appliance, func()) {
		t.Helper()
		e, err := lio.Start(t.Context(), lio.Options{Kernel: kernel, RunDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"), DataDir: dir, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		a, err := appliance.Open(t.Context(), appliance.Options{DataDir: dir, Engine: e, Log: quiet, Retry: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return a, func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	apply := func(a *appliance.Appliance, c appliance.Change) []string {
		t.Helper()
		c.Who = "test"
		kernel.Requests()
		op, err := a.Apply(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := op.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		return kernel.Requests()
	}
	doc := appliance.LargeDocument()
	for i := range doc.Targets {
		for j := range doc.Targets[i].Groups {
			g := &doc.Targets[i].Groups[j]
			g.Initiators[0] = strings.TrimSuffix(g.Initiators[0], "-*") // LIO has no patterns
		}
	}
	a, end := begin()
	whole := apply(a, appliance.Change{Document: doc})
	kinds := map[string]int{}
	for _, r := range whole {
		kind, _, _ := strings.Cut(r, " ")
		kinds[kind]++
	}
	// Of a device: 1 directory and at most 12 settings; of a LUN: 2 directories
	// and 2 links; of a group: 1 and 1; of a target: 4 and a few settings.
	if want := 1000 + 2000 + 200 + 50*3 + 2; kinds["mkdir"] != want {
		t.Errorf("%d objects were made, want %d", kinds["mkdir"], want)
	}
	if kinds["symlink"] != 2000 || kinds["rmdir"]+kinds["unlink"] != 0 || kinds["write"] > 14*1000 {
		t.Errorf("requests by kind: %v", kinds)
	}
	t.Logf("the whole document: %d requests to the kernel: %v", len(whole), kinds)

	end()
	kernel.Requests()
	a, end = begin()
	defer func() { end() }()
	if again := kernel.Requests(); len(again) != 0 {
		t.Errorf("the next daemon made %d requests: %.300q", len(again), again)
	}
	if again := apply(a, appliance.Change{Document: doc}); len(again) != 0 {
		t.Errorf("the same document again: %d requests: %.300q", len(again), again)
	}
	one := apply(a, appliance.Change{Edit: func(d *config.Document) error {
		g := &d.Targets[17].Groups[2]
		g.LUNs = append(g.LUNs, config.LUN{LUN: 9, Device: "d000"})
		return nil
	}})
	if len(one) != 4 { // the LUN with its link, and the initiator's with its
		t.Errorf("one more LUN: %d requests, want 4: %q", len(one), one)
	}
	one = apply(a, appliance.Change{Edit: func(d *config.Document) error {
		d.Targets[3].Alias = "third"
		return nil
	}})
	if len(one) != 1 {
		t.Errorf("another alias: %d requests, want 1: %q", len(one), one)
	}
	none := appliance.Change{Edit: func(d *config.Document) error {
		d.Targets, d.Devices = nil, nil
		return nil
	}}
	for _, d := range doc.Targets {
		none.Destroy = append(none.Destroy, "target/"+d.Name)
	}
	for _, d := range doc.Devices {
		none.Destroy = append(none.Destroy, "device/"+d.Name, "image/"+d.Name)
	}
	apply(a, none)
	for _, l := range strings.Split(kernel.Dump(), "\n") {
		if strings.HasPrefix(l, "iscsi/iqn") || strings.HasPrefix(l, "core/fileio_0/d") {
			t.Fatalf("left in the kernel: %s", l)
		}
	}
}
