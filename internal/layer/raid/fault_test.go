package raid_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/plan"
)

// snapshot is what can be seen of a machine's arrays and disks, but not what
// arrays do by themselves.
func snapshot(t *testing.T, m *storagefake.Machine) string {
	t.Helper()
	inv, err := block.Read(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := mdadm.Read(t.Context(), m, inv, nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, a := range s.Arrays {
		for _, x := range a.Members {
			state := slices.Clone(x.State)
			slices.Sort(state)
			if slices.Contains(state, "spare") { // the kernel gives it a place by itself
				x.Role = -1
			}
			lines = append(lines, fmt.Sprintf("%s %v: %s %d %v", a.UUID, a.Running(), x.Kernel, x.Role, state))
		}
		lines = append(lines, fmt.Sprintf("%s %v: %s %d %s %d %d", a.UUID, a.Running(), a.Level, a.Disks, a.Policy, a.SpeedMin, a.SpeedMax))
	}
	for _, d := range inv.Devices() {
		if d.Type == "disk" {
			lines = append(lines, fmt.Sprintf("%s %s %s", d.Name, d.Signature, d.Label))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Each call and each write of each plan fails once, before and after it did its
// work. The machine is then as it was or as asked, or what is not is said; and
// the next plan finishes the work, with nobody's data lost who was not named.
func TestFaults(t *testing.T) {
	for _, c := range cases() {
		if c.stays {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			m, declared := c.ready(t)
			before := snapshot(t, m)
			carryOut(t, planned(t, m, c.before, declared, c.named...))
			asked := snapshot(t, m)
			for _, after := range []bool{false, true} {
				for n := 1; ; n++ {
					m, declared := c.ready(t)
					p := planned(t, m, c.before, declared, c.named...)
					m.FailAt(n, after)
					_, err := plan.Runner{}.Run(context.Background(), p)
					if !m.Injected() {
						m.FailAt(0, false)
						if err != nil {
							t.Fatal(err)
						}
						break
					}
					what := fmt.Sprintf("failure %d, after %v (%v)", n, after, err)
					var failed *plan.Error
					if errors.As(err, &failed) {
						i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Sentence == failed.Step })
						said := len(failed.NotBack) > 0 || p.Steps[i].Undo == nil || p.Steps[i].Action == plan.Delete
						if is := snapshot(t, m); is != before && is != asked && !said {
							t.Errorf("%s: the machine is neither as it was nor as asked:\n%s\nwas:\n%s", what, is, before)
						}
					}
					again := planned(t, m, c.before, declared, c.named...)
					if needs := again.Needs(c.named); len(needs) > 0 || len(again.Problems) > 0 {
						t.Fatalf("%s: the next plan is refused: %q %v", what, needs, again.Problems)
					}
					if _, err := (plan.Runner{}).Run(context.Background(), again); err != nil {
						t.Fatalf("%s: the next plan: %v\n%s", what, err, again.Text(nil))
					}
					finish(t, m, declared)
					for _, l := range m.Lost() {
						if !slices.Contains(c.lost, l) {
							t.Errorf("%s: %s is lost, and was not named", what, l)
						}
					}
					if t.Failed() {
						return
					}
				}
			}
		})
	}
}
