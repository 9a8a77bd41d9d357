package native

import (
	"fmt"

	"github.com/esos-project/esos/internal/config"
)

// attributeProblems refuses attributes of a kernel: all that this engine can be
// told has a key of its own in the document.
func attributeProblems(d *config.Document) []error {
	var errs []error
	refuse := func(attributes map[string]string, format string, args ...any) {
		if len(attributes) > 0 {
			errs = append(errs, fmt.Errorf("%s: the native engine is a program and has no attributes of a kernel; remove them, or use engine: lio or scst, which have", fmt.Sprintf(format, args...)))
		}
	}
	for _, dev := range d.Devices {
		refuse(dev.Attributes, "device %s", dev.Name)
	}
	for _, t := range d.Targets {
		refuse(t.Attributes, "target %s", t.Name)
		for _, g := range t.Groups {
			refuse(g.Attributes, "target %s, group %s", t.Name, g.Name)
		}
	}
	return errs
}
