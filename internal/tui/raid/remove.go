package raid

import (
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// removeOne is the entry Remove Array: those that are not declared can be
// deleted, too.
func removeOne(d *frame.Desk) {
	choose(d, "Remove which array?", func(x array) string {
		if by := x.of.doc.BlockUsers(x.Path()); x.Declared() && len(by) > 0 {
			return "it is in use by " + strings.Join(by, ", ") + ": delete that first"
		}
		return ""
	}, remove)
}

// remove asks what is to become of an array, and does it.
func remove(d *frame.Desk, x array) {
	if by := x.of.doc.BlockUsers(x.Path()); x.Declared() && len(by) > 0 {
		d.Warn("Array "+x.Name+" is in use", "It is in use by "+strings.Join(by, ", ")+". Delete that first.")
		return
	}
	undeclare := func(doc *config.Document) error { return doc.RemoveArray(x.Name) }
	nothing := func(*config.Document) error { return nil }
	give := frame.Answer{Text: "Delete it with its data", Do: func() {
		c := frame.Change{Why: fmt.Sprintf("esos array delete %s --destroy %s", x.called(), x.object()), Destroy: []string{x.object()}, Edit: undeclare}
		if !x.Declared() {
			c.Edit = nothing
			c.Why = "delete array " + x.called() + ", which is not declared (--destroy " + x.object() + ")"
		}
		d.Change(c)
	}}
	text := "Delete it: all that it holds is lost, and its disks are blank afterwards. Its superblocks go, too: earlier ESOS left them, and such an array came back."
	if !x.Declared() {
		d.Choose("Delete array "+x.called()+"?", text, frame.Answer{Text: "Cancel", Do: func() {}}, give)
		return
	}
	d.Choose("Remove array "+x.Name+"?", text+"\n\nDeclare it no more: it is left as it is, with its data and its superblocks, and not started after a boot. It can be taken up again.",
		frame.Answer{Text: "Cancel", Do: func() {}}, give,
		frame.Answer{Text: "Declare it no more", Do: func() {
			d.Change(frame.Change{Why: "esos array delete " + x.Name, Edit: undeclare})
		}})
}
