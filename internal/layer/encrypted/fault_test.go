package encrypted_test

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
	gone := func(d *config.Document) { d.Storage.Encrypted, d.Devices = nil, nil }
	for _, c := range []struct {
		name   string
		key    string
		fresh  bool
		tamper func(s bench)
		edit   func(d *config.Document)
		named  []string
	}{
		{name: "first", key: "file", fresh: true},
		{name: "first tpm2", key: "tpm2", fresh: true},
		{name: "first typed", key: "typed", fresh: true},
		{name: "boot", key: "file", tamper: func(s bench) { s.reboot() }},
		{name: "boot typed", key: "typed", tamper: func(s bench) { s.reboot() }},
		{name: "grow", key: "file", tamper: func(s bench) { s.Look(disk1).Size = 15 * gib }},
		{name: "remove", key: "file", edit: gone},
		{name: "delete", key: "file", edit: gone, named: []string{"encrypted/vault"}},
		{name: "foreign", key: "file", fresh: true, tamper: func(s bench) { encrypt(s, disk1, foreign) }, named: []string{"disk/virtio-data01", "theirs"}},
		{name: "replace", key: "file", edit: func(d *config.Document) {
			d.Devices = nil
			d.Storage.Encrypted = []config.Encrypted{{Name: "safe", Device: disk1, Key: "tpm2"}}
		}, named: []string{"encrypted/vault"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			failures, goal := 0, ""
			for n := 0; ; n++ { // 0 is without a failure
				hit := false
				for _, after := range []bool{false, true} {
					s := newBench()
					doc := document(t, c.key)
					declared, inForce := doc.Clone(), doc
					if c.fresh {
						inForce = nil
					} else {
						s.serve(t, doc)
					}
					if c.edit != nil {
						c.edit(declared)
						complete(t, declared, inForce)
					}
					if c.tamper != nil {
						c.tamper(s)
					}
					s.typed(true)
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
							failures++
						}
						continue
					}
					failures++
					var e *plan.Error
					if !errors.As(err, &e) {
						t.Fatal(err)
					}
					destroys := slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Sentence == e.Step && s.Destroys != "" })
					if now := s.picture(t); now != before && now != goal && len(e.NotBack) == 0 && !destroys {
						t.Errorf("change %d fails (after its work: %v): %v; the machine is not as it was (-before +now):\n%s", n, after, err, cmp.Diff(before, now))
					}
					s.typed(true) // it is asked for again
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
						made := slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Object == lost && strings.HasPrefix(s.Sentence, "Encrypt ") })
						if !slices.Contains(c.named, lost) && !made {
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
