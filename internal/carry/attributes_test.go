package carry_test

import (
	"slices"
	"testing"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/carry/saveconfig"
	"github.com/esos-project/esos/internal/carry/scstconf"
	"github.com/esos-project/esos/internal/config"
)

// Attributes that an export lacks are told, each.
func TestAttributesAreTold(t *testing.T) {
	one := map[string]string{"x": "7"}
	d := &config.Document{
		Devices: []config.Device{{Name: "d", Handler: config.NullIO, Size: 1 << 20, Attributes: one}},
		Targets: []config.Target{{Name: "iqn.2026-11.com.example:a", Attributes: one, Groups: []config.Group{{Name: "g", Attributes: one}}}},
	}
	for _, f := range []interface {
		Write(d *config.Document, o carry.Options) (*carry.Export, error)
	}{saveconfig.Format{}, scstconf.Format{}} {
		e, err := f.Write(d, carry.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, of := range []string{"device d", "target iqn.2026-11.com.example:a", "group g of target iqn.2026-11.com.example:a"} {
			if !slices.ContainsFunc(e.Left, func(l carry.Left) bool { return l.What == "attribute x of "+of && l.Missed }) {
				t.Errorf("%T: nobody is told of the attribute of %s: %+v", f, of, e.Left)
			}
		}
	}
}
