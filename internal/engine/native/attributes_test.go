package native

import (
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
)

func TestAttributesOfAKernelAreRefused(t *testing.T) {
	one := map[string]string{"x": "1"}
	d := &config.Document{
		Devices: []config.Device{{Name: "d", Handler: config.NullIO, Attributes: one}, {Name: "e", Handler: config.NullIO}},
		Targets: []config.Target{{Name: "t", Attributes: one, Groups: []config.Group{{Name: "g", Attributes: one}}}},
	}
	errs := Supports(d)
	if len(errs) != 3 {
		t.Fatalf("supports: %v", errs)
	}
	for i, of := range []string{"device d: ", "target t: ", "target t, group g: "} {
		if !strings.HasPrefix(errs[i].Error(), of) || !strings.Contains(errs[i].Error(), "lio or scst") {
			t.Errorf("%v, want %s", errs[i], of)
		}
	}
}
