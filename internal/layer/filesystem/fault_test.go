package filesystem_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/plan"
)

// picture is the machine and what is served from it.
func (s bench) picture(t *testing.T) string {
	t.Helper()
	state, err := s.engine.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := s.Picture()
	for _, d := range state.Devices {
		text += fmt.Sprintf("serves %s on %s, %d\n", d.Name, d.Path, d.Size)
	}
	return text
}

// TestFaults lets each change that a plan makes fail once, before and after it
// did its work. The machine is then as it was, or as asked, or the error says
// what is not back; the next plan finishes the work; and nothing was lost that
// was not named.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		fresh  bool
		serve  func(d *config.Document)
		tamper func(s bench)
		edit   func(d *config.Document)
		named  []string
		lost   []string
	}{
		{name: "first", fresh: true},
		{name: "first ext4", fresh: true, edit: func(d *config.Document) { d.Storage.FileSystems[0].Type = "ext4" }},
		{name: "boot", tamper: func(s bench) { s.Unmounted(); s.engine.Forget() }},
		{name: "grow", tamper: func(s bench) { s.Look(disk1).Size = 15 * gib }},
		{name: "more options", edit: func(d *config.Document) { d.Storage.FileSystems[0].Options = []string{"discard"} }},
		{name: "other options", serve: func(d *config.Document) { d.Storage.FileSystems[0].Options, d.Devices = []string{"discard"}, nil },
			edit: func(d *config.Document) { d.Storage.FileSystems[0].Options = nil }},
		{name: "remove", edit: func(d *config.Document) { d.Storage.FileSystems, d.Devices = nil, nil }},
		{name: "foreign", fresh: true, tamper: func(s bench) { mkfs(s, disk1, "xfs") }, named: []string{"disk/virtio-data01"}, lost: []string{"filesystem/other"}},
		{name: "replace", edit: func(d *config.Document) {
			d.Devices = nil
			d.Storage.FileSystems = []config.FileSystem{{Name: "other", Device: disk1, Type: "btrfs"}}
		}, named: []string{"filesystem/images"}, lost: []string{"filesystem/images"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			failures, goal := 0, ""
			for n := 0; ; n++ { // 0 is without a failure
				hit := false
				for _, after := range []bool{false, true} {
					s := newBench()
					doc := document(t)
					if c.serve != nil {
						c.serve(doc)
					}
					declared, inForce := doc.Clone(), doc
					if c.fresh {
						inForce = nil
					} else {
						s.serve(t, doc)
					}
					if c.edit != nil {
						c.edit(declared)
						if err := config.Complete(declared, inForce); err != nil {
							t.Fatal(err)
						}
					}
					if c.tamper != nil {
						c.tamper(s)
					}
					before := s.picture(t)
					p := s.planned(t, inForce, declared, c.named...)
					s.FailAt(n, after)
					_, err := (plan.Runner{}).Run(t.Context(), p)
					hit = hit || s.Injected()
					s.FailAt(0, false)
					if n == 0 {
						goal = s.picture(t)
					}
					if err == nil {
						if s.Injected() {
							failures++ // it was told, and what came after made it good
						}
						continue
					}
					failures++
					var e *plan.Error
					if !errors.As(err, &e) {
						t.Fatal(err)
					}
					if now := s.picture(t); now != before && now != goal && len(e.NotBack) == 0 && !partly(p, e) {
						t.Errorf("change %d fails (after its work: %v): %v; the machine is not as it was (-before +now):\n%s", n, after, err, cmp.Diff(before, now))
					}
					again := s.planned(t, inForce, declared, c.named...)
					if len(again.Problems)+len(again.Needs(c.named)) > 0 {
						t.Fatalf("change %d fails (after its work: %v): the next plan is refused:\n%s", n, after, again.Text(c.named))
					}
					if _, err := (plan.Runner{}).Run(t.Context(), again); err != nil {
						t.Fatalf("change %d fails (after its work: %v), and the next run too: %v", n, after, err)
					}
					if left := s.planned(t, declared, declared); !left.Empty() {
						t.Errorf("change %d failed (after its work: %v); there is still to do:\n%s", n, after, left.Text(nil))
					}
					for _, lost := range s.Lost() {
						// What the plan made itself it may take away again.
						if made := slices.Contains(made(p), lost); !made && !slices.Contains(c.lost, lost) {
							t.Errorf("change %d fails (after its work: %v): lost %q", n, after, lost)
						}
					}
				}
				if !hit && n > 0 {
					break
				}
			}
			if failures == 0 {
				t.Error("nothing ever failed")
			}
		})
	}
}

// partly says whether the step that failed is one that destroys: what it was
// allowed to take may be gone in part.
func partly(p *plan.Plan, e *plan.Error) bool {
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Sentence == e.Step && s.Destroys != "" })
}

// made are the objects that a plan creates.
func made(p *plan.Plan) []string {
	var objects []string
	for _, s := range p.Steps {
		if s.Action == plan.Create && strings.HasPrefix(s.Sentence, "Make") {
			objects = append(objects, s.Object)
		}
	}
	return objects
}
