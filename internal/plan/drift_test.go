package plan

import (
	"testing"

	"github.com/esos-project/esos/internal/config"
)

// TestDriftText shows what was changed by hand apart from what a change wants.
func TestDriftText(t *testing.T) {
	p := sample(t)
	p.Problems = nil
	p.Drift = []Drift{
		{Object: "lun/t/hosts/7", What: Added, Message: "it is there, and it is not declared", Fields: []config.FieldChange{{Field: "lun", New: "7"}, {Field: "device", New: "db"}}, Left: true},
		{Object: "target/t", What: Changed, Message: "its settings are not those that are declared", Left: true,
			Fields: []config.FieldChange{{Field: "alias", Old: "x"}, {Field: "secret", Old: "(secret)", New: "(secret)"}}},
		{Object: "lun/t/hosts/3", What: Missing, Message: "it is declared, and it is not there", Left: true},
	}
	golden(t, "drift.txt", p.Text(nil))
	p.Drift[2].Left = false
	golden(t, "drift-some.txt", p.Text(nil))
	golden(t, "adopts.txt", (&Plan{Adopts: []config.Change{
		{Object: "lun/t/hosts/7", Action: "create", Fields: p.Drift[0].Fields},
		{Object: "lun/t/hosts/3", Action: "delete"},
	}, Drift: p.Drift[1:2]}).Text(nil))
}
