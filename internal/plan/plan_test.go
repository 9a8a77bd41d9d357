package plan

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/esos-project/esos/internal/config"
)

var update = flag.Bool("update", false, "write golden files anew")

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

// sample has a step of every kind.
func sample(t *testing.T) *Plan {
	t.Helper()
	var b Builder
	b.Layer() // vdisk
	b.Add(Step{Layer: "vdisk", Object: "image/new", Action: Create, Phase: Prepare, Sentence: "Create image file new.img"})
	b.Add(Step{Layer: "vdisk", Object: "image/old", Action: Delete, Phase: Final, Sentence: "Delete image file old.img", Destroys: "10 GiB with 3.2 GiB of data is lost"})
	b.Note("image/kept", "file kept.img (1 GiB) stays")
	b.Block("device/gone", "its image file is missing")
	b.Layer() // device
	b.Add(Step{Layer: "device", Object: "device/new", Action: Create, Sentence: "Create device new"})
	b.Add(Step{Layer: "device", Object: "device/old", Action: Delete, Sentence: "Delete device old", Destroys: "3 sessions use it"})
	b.Add(Step{Layer: "device", Object: "device/db", Action: Change, Sentence: "Grow device db",
		Changes: []config.FieldChange{{Field: "size", Old: "1GiB", New: "2GiB"}, {Field: "secret", Old: "(secret)", New: "(secret)"}, {Field: "alias", New: "x"}}})
	b.Layer() // LUN
	b.Add(Step{Layer: "lun", Object: "lun/t/0", Action: Delete, Sentence: "Unmap LUN 0", Disrupts: "1 session sees it"})
	b.Add(Step{Layer: "lun", Object: "lun/t/1", Action: Create, Sentence: "Map LUN 1", Needs: []ID{"create device/new"}})
	b.Add(Step{ID: "enable target/t", Layer: "target", Object: "target/t", Action: Change, Phase: Enable, Sentence: "Enable target t"})
	b.Problem("device/small", "shrinking destroys data")
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestText(t *testing.T) {
	p := sample(t)
	golden(t, "refused.txt", p.Text(nil))
	golden(t, "named.txt", p.Text([]string{"device/old", "image/old"}))
	if got := (&Plan{}).Text(nil); got != "no changes\n" {
		t.Errorf("empty plan: %q", got)
	}
	js, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.json", string(js)+"\n")
}

func TestNeeds(t *testing.T) {
	p := sample(t)
	for _, c := range []struct{ named, needs []string }{
		{nil, []string{"device/old", "image/old"}},
		{[]string{"image/old", "device/db"}, []string{"device/old"}},
		{[]string{"image/old", "device/old"}, nil},
	} {
		if diff := cmp.Diff(c.needs, p.Needs(c.named)); diff != "" {
			t.Errorf("%q (-want +got): %s", c.named, diff)
		}
	}
}

// Whatever is added, in whatever order: phases follow each other unless a need
// says otherwise, and no step comes before one that it needs.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 30).Draw(t, "steps")
		var b Builder
		for i := range n {
			if rapid.Bool().Draw(t, "layer") {
				b.Layer()
			}
			s := Step{Object: fmt.Sprint(i), Action: rapid.SampledFrom([]Action{Create, Change, Delete}).Draw(t, "action")}
			s.Phase = Phase(rapid.IntRange(0, int(Final)).Draw(t, "phase"))
			if i > 0 { // needs point to earlier steps: there is no circle
				for _, j := range rapid.SliceOfN(rapid.IntRange(0, i-1), 0, 3).Draw(t, "needs") {
					s.Needs = append(s.Needs, b.plan.Steps[j].ID)
				}
			}
			b.Add(s)
		}
		p, err := b.Plan()
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Steps) != n {
			t.Fatalf("%d steps of %d", len(p.Steps), n)
		}
		place := map[ID]int{}
		for i, s := range p.Steps {
			place[s.ID] = i
		}
		for i, s := range p.Steps {
			for _, need := range s.Needs {
				if place[need] >= i {
					t.Fatalf("%q comes before %q, which it needs", s.ID, need)
				}
			}
		}
	})
}

func TestOrderRefuses(t *testing.T) {
	var b Builder
	b.Add(Step{Object: "a", Action: Create, Needs: []ID{"create b"}})
	b.Add(Step{Object: "b", Action: Create, Needs: []ID{"create a"}})
	if _, err := b.Plan(); err == nil || !strings.Contains(err.Error(), "needs itself") {
		t.Errorf("circle: %v", err)
	}
	var c Builder
	c.Add(Step{Object: "a", Action: Create})
	c.Add(Step{Object: "a", Action: Create})
	if _, err := c.Plan(); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("twice: %v", err)
	}
}

func TestRun(t *testing.T) {
	broken := errors.New("broken")
	type result struct {
		Log      []string
		Failures []string
		Err      string
	}
	for _, c := range []struct {
		name   string
		fail   map[string]bool // steps whose Do fails
		stuck  map[string]bool // steps whose Undo fails
		repair map[string]bool
		cancel string // the step in which the context ends
		want   result
	}{
		{name: "good", want: result{Log: []string{"do a", "do b", "do c"}}},
		{name: "first", fail: map[string]bool{"a": true}, want: result{Log: []string{"do a", "undo a"}, Err: "A: broken"}},
		{name: "last", fail: map[string]bool{"c": true}, want: result{
			Log: []string{"do a", "do b", "do c", "undo c", "undo b", "undo a"}, Err: "C: broken; undid 2 of 2 steps"}},
		{name: "stuck", fail: map[string]bool{"c": true}, stuck: map[string]bool{"b": true}, want: result{
			Log: []string{"do a", "do b", "do c", "undo c", "undo b", "undo a"}, Err: "C: broken; undid 1 of 2 steps; not undone: B: broken"}},
		{name: "repair", fail: map[string]bool{"a": true}, repair: map[string]bool{"a": true}, want: result{
			Log: []string{"do a", "do b", "do c"}, Failures: []string{"a: A: broken"}}},
		{name: "repair that another repair needs", fail: map[string]bool{"b": true}, repair: map[string]bool{"b": true, "c": true}, want: result{
			Log: []string{"do a", "do b"}, Failures: []string{"b: B: broken"}}},
		{name: "repair that a change needs", fail: map[string]bool{"b": true}, repair: map[string]bool{"b": true}, want: result{
			Log: []string{"do a", "do b", "undo a"}, Failures: []string{"b: B: broken"}, Err: `C: needs "create b", which failed; undid 1 of 1 step`}},
		{name: "cancelled", cancel: "b", want: result{
			Log: []string{"do a", "do b", "undo b", "undo a"}, Err: "C: context canceled; undid 2 of 2 steps"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var got result
			var b Builder
			for _, name := range []string{"a", "b", "c"} {
				s := Step{Object: name, Action: Create, Sentence: strings.ToUpper(name),
					Do: func(context.Context, Report) error {
						got.Log = append(got.Log, "do "+name)
						if c.cancel == name {
							cancel()
						}
						if c.fail[name] {
							return broken
						}
						return nil
					},
					Undo: func(ctx context.Context) error {
						got.Log = append(got.Log, "undo "+name)
						if ctx.Err() != nil {
							t.Error("undone with a context that has ended")
						}
						if c.stuck[name] {
							return broken
						}
						return nil
					}}
				if name == "c" {
					s.Needs = []ID{"create b"}
				}
				b.Add(s)
			}
			p, err := b.Plan()
			if err != nil {
				t.Fatal(err)
			}
			states := map[string]State{}
			r := Runner{Repair: func(s *Step) bool { return c.repair[s.Object] },
				Observe: func(i int, s State, _ float64, _ error) { states[p.Steps[i].Object] = s }}
			failures, err := r.Run(ctx, p)
			for _, f := range failures {
				got.Failures = append(got.Failures, f.Object+": "+f.Message)
			}
			if err != nil {
				got.Err = err.Error()
				if c.cancel == "" && len(c.repair) == 0 && !errors.Is(err, broken) {
					t.Errorf("the cause is lost: %v", err)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err == nil && c.name == "good" {
				if err := r.Undo(ctx, p, broken); err == nil || len(got.Log) != 6 || states["a"] != Undone {
					t.Errorf("undo of the whole: %v %v %v", err, got.Log, states)
				}
			}
		})
	}
}
