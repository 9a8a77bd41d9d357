package device_test

import (
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/device"
	"github.com/esos-project/esos/internal/plan"
)

// TestGrown: a block device that became larger, or does so by a step of the
// plan, is given to the engine once more.
func TestGrown(t *testing.T) {
	const gib = int64(1) << 30
	for _, c := range []struct {
		name   string
		served config.Size
		store  layer.Store
		coming int64
		needs  plan.ID
		want   string // the sentence, "" for no step
	}{
		{name: "as before", served: config.Size(gib), store: layer.Store{Exists: true, Block: true, Size: gib}},
		{name: "grown", served: config.Size(gib), store: layer.Store{Exists: true, Block: true, Size: 2 * gib}, want: "Grow device db01 from 1 GiB to 2 GiB"},
		{name: "grows", served: config.Size(gib), store: layer.Store{Exists: true, Block: true, Size: gib}, coming: 3 * gib, want: "Grow device db01 from 1 GiB to 3 GiB"},
		{name: "less than a block", served: config.Size(gib), store: layer.Store{Exists: true, Block: true, Size: gib + 511}},
		{name: "smaller", served: config.Size(gib), store: layer.Store{Exists: true, Block: true, Size: gib / 2}},
		{name: "gone", served: config.Size(gib), store: layer.Store{}},
		{name: "an engine that does not tell", store: layer.Store{Exists: true, Block: true, Size: 2 * gib}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := config.Device{Name: "db01", Handler: config.BlockIO, Path: "/dev/vg0/db01", BlockSize: 512}
			doc := &config.Document{Devices: []config.Device{want}}
			served := want
			served.Size = c.served
			seen := &layer.Observed{InForce: doc, Stores: map[string]layer.Store{want.Path: c.store}, Engine: engine.State{Devices: []config.Device{served}}}
			var b plan.Builder
			if c.coming > 0 {
				b.Comes(want.Path, plan.Coming{Step: "change volume/vg0/db01", Size: c.coming})
			}
			e := &enginetest.Memory{}
			if err := e.PutDevice(t.Context(), served); err != nil {
				t.Fatal(err)
			}
			device.Layer{Engine: e}.Plan(doc, seen, &b)
			p, err := b.Plan()
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case c.want == "" && p.Empty():
				return
			case len(p.Steps) != 1 || p.Steps[0].Sentence != c.want || p.Steps[0].Destroys+p.Steps[0].Disrupts != "":
				t.Fatalf("%s", p.Text(nil))
			}
			if !device.Follows(&p.Steps[0]) {
				t.Error("it is taken for a change by hand")
			}
			if err := p.Steps[0].Do(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if err := p.Steps[0].Undo(t.Context()); err != nil {
				t.Fatal(err)
			}
			if calls := strings.Join(e.Calls(), ", "); strings.Contains(calls, "Delete") {
				t.Errorf("it is taken from its initiators: %s", calls)
			}
		})
	}
}
