package carry

import (
	"maps"
	"slices"

	"github.com/esos-project/esos/internal/config"
)

// Attributes notes those that a document has in a kernel's own words: they are
// of the engine that it names, and the file does not carry them.
func (t *Told) Attributes(d *config.Document) {
	miss := func(attributes map[string]string, of string) {
		for _, name := range slices.Sorted(maps.Keys(attributes)) {
			t.Miss("attribute "+name+" of "+of, "attributes are not exported; set "+name+" to "+attributes[name]+" there")
		}
	}
	for _, dev := range d.Devices {
		miss(dev.Attributes, "device "+dev.Name)
	}
	for _, target := range d.Targets {
		miss(target.Attributes, "target "+target.Name)
		for _, g := range target.Groups {
			miss(g.Attributes, "group "+g.Name+" of target "+target.Name)
		}
	}
}
