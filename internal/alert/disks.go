package alert

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/host/smart"
)

// Disks is the rule about how disks are, as of the last look at them.
type Disks struct {
	Book   *smart.Book
	raised map[string]string // what people call the disk, by the alert's ID
}

// Check implements Rule. Who reads nothing new says nothing new: a count that
// grows is told once.
func (d *Disks) Check(_ context.Context, b *Board) error {
	if d.raised == nil {
		d.raised = map[string]string{}
	}
	wrong := map[string]bool{}
	for key, e := range d.Book.All() {
		text, failing := e.Trouble()
		if text == "" {
			continue
		}
		say := func(kind string, severity Severity, what string) {
			id := kind + "." + strings.ReplaceAll(key, " ", "_")
			wrong[id], d.raised[id] = true, e.Disk
			b.Raise(Alert{ID: id, Severity: severity, Object: "disk/" + e.Disk, Message: fmt.Sprintf("disk %s (%s): %s. %s", e.Disk, key, text, what)})
		}
		// One that fails has an alert of its own: who was told of errors before
		// is told of that.
		if failing {
			say("disk.failing", Critical, "Replace it now: as long as it answers, that is easier and safer")
		}
		if _, told := d.raised["disk.errors."+strings.ReplaceAll(key, " ", "_")]; !failing || told {
			say("disk.errors", Warning, fmt.Sprintf("Look at it ('esos disk show %s'), and have another one at hand", e.Disk))
		}
	}
	for id, disk := range d.raised {
		if !wrong[id] {
			delete(d.raised, id)
			b.Clear(id, "disk.ok", "disk "+disk+" is well again, or is not there any more")
		}
	}
	return nil
}
