package raid_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// randomArrays are arrays on disks that no two share, as validation has it.
func randomArrays(r *rapid.T) []config.Array {
	free := rapid.Permutation(devs("a", "b", "c", "d", "e", "f", "g", "h")).Draw(r, "disks")
	var arrays []config.Array
	for i := range rapid.IntRange(0, 3).Draw(r, "arrays") {
		a := config.Array{Name: rapid.SampledFrom([]string{"m", "n", "old"}).Draw(r, "name"), Level: rapid.SampledFrom([]string{"0", "1", "5", "6", "10"}).Draw(r, "level")}
		n := map[string]int{"0": 2, "1": 2, "5": 3, "6": 4, "10": 2}[a.Level] + rapid.IntRange(0, 1).Draw(r, "more")
		if n > len(free) || slices.ContainsFunc(arrays, func(b config.Array) bool { return b.Name == a.Name }) {
			continue
		}
		a.Disks, free = free[:n:n], free[n:]
		if a.Level != "0" && len(free) > 0 && rapid.Bool().Draw(r, fmt.Sprint("spare", i)) {
			a.Spares, free = free[:1:1], free[1:]
		}
		arrays = append(arrays, a)
	}
	return arrays
}

// happen plays what becomes of a machine while nobody looks.
func happen(r *rapid.T, m *storagefake.Machine) {
	for range rapid.IntRange(0, 4).Draw(r, "events") {
		d := "vd" + string(rune('a'+rapid.IntRange(0, 7).Draw(r, "disk")))
		switch rapid.IntRange(0, 4).Draw(r, "event") {
		case 0:
			m.Sync()
		case 1:
			m.StopArrays()
		case 2:
			m.Fault(d)
		case 3:
			if m.Look(d) != nil {
				m.Pull(d)
			}
		case 4:
			if x := m.Look(d); x != nil && len(x.Content) == 0 {
				x.Content, x.Owner = []block.Content{{Type: "xfs"}}, "disk "+d
			}
		}
	}
}

// Whatever the document and the machine: what is not named is not lost, the
// plan is orderly, and when it was carried out it has no more to do.
func TestRandom(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := machine()
		if rapid.Bool().Draw(r, "foreign") {
			foreign(m)
		}
		var inForce *config.Document
		for range 3 {
			happen(r, m)
			declared := document(randomArrays(r)...)
			seen := &layer.Observed{InForce: inForce}
			var b plan.Builder
			for _, l := range layers(m) {
				if err := l.Observe(context.Background(), declared, seen); err != nil {
					r.Fatal(err)
				}
			}
			for _, l := range layers(m) {
				b.Layer()
				l.Plan(declared, seen, &b)
			}
			p, err := b.Plan()
			if err != nil {
				r.Fatal(err)
			}
			if len(p.Problems) > 0 || len(p.Needs(nil)) > 0 {
				continue // refused
			}
			if _, err := (plan.Runner{}).Run(context.Background(), p); err != nil {
				r.Fatalf("%v\n%s", err, p.Text(nil))
			}
			if lost := m.Lost(); len(lost) > 0 {
				r.Fatalf("lost: %q\n%s", lost, p.Text(nil))
			}
			inForce = declared
			for _, a := range declared.Storage.Arrays {
				if d := m.Look(a.Path()); d != nil && d.Owner == "" {
					d.Owner = "array/" + a.Name
				}
			}
		}
	})
}
