package layer_test

import (
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/network"
	"github.com/esos-project/esos/internal/layer/network/networktest"
	"github.com/esos-project/esos/internal/plan"
)

// TestIfOwner: on a machine that is not ours, a section is refused and nothing
// is looked at.
func TestIfOwner(t *testing.T) {
	declares := func(d *config.Document) bool { return d.Network.Declared() }
	none := &config.Document{Version: 1, Name: "array1"}
	some := none.Clone()
	some.Network.Hostname = "array1"
	for _, c := range []struct {
		owns            bool
		doc             *config.Document
		steps, problems int
	}{{false, none, 0, 0}, {false, some, 0, 1}, {true, none, 0, 0}, {true, some, 1, 0}} {
		l := layer.IfOwner(c.owns, network.Layer{Machine: networktest.New("eth0")}, declares)
		if l.Name() != "network" {
			t.Errorf("it is called %s", l.Name())
		}
		seen := &layer.Observed{}
		if err := l.Observe(t.Context(), c.doc, seen); err != nil {
			t.Fatal(err)
		}
		var b plan.Builder
		l.Plan(c.doc, seen, &b)
		p, err := b.Plan()
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Steps) != c.steps || len(p.Problems) != c.problems {
			t.Errorf("owner %v: %s", c.owns, p.Text(nil))
		}
		if c.problems > 0 && !strings.Contains(p.Problems[0].Message, "network") {
			t.Errorf("refused: %+v", p.Problems)
		}
	}
}
