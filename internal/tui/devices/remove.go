package devices

import (
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// remove has a device chosen and takes it away.
func remove(d *frame.Desk) {
	pick.OneOf(d, frame.Picker{Title: "Remove Device", Columns: append(pick.DeviceColumns(), "used by"), Command: "esos device delete DEVICE",
		Help: "A device is taken away with the LUNs and the namespace that lead to it. Its file stays unless the plan says otherwise and it is named."},
		"There is no device.", func(s pick.Serving) []frame.Option {
			o := pick.Devices(s.Doc)
			for i := range o {
				o[i].Cells = append(o[i].Cells, fmt.Sprintf("%d LUNs", len(s.Doc.LUNsOf(o[i].Value))))
			}
			return o
		}, func(name string, s pick.Serving) { removeOne(d, s, name) })
}

// removeOne says what goes with a device, and then removes it.
func removeOne(d *frame.Desk, s pick.Serving, name string) {
	uses := s.Doc.LUNsOf(name)
	if object, ok := s.Doc.NVMe.NamespaceOf(name); ok {
		uses = append(uses, object)
	}
	args := []string{"device", "delete", name}
	if len(uses) > 0 {
		args = append(args, "--unmap")
	}
	carryOut := func() {
		d.Change(frame.Change{Why: pick.Command(args...), Edit: func(doc *config.Document) error { return doc.RemoveDevice(name, len(uses) > 0) }})
	}
	if len(uses) == 0 {
		carryOut()
		return
	}
	d.Ask("Device "+name+" is in use", "These go with it, and whoever uses them loses the disk:\n\n"+strings.Join(uses, "\n")+sessions(s, name), "Show the plan", carryOut)
}

// sessions says who sees a device now.
func sessions(s pick.Serving, device string) string {
	var who []string
	for _, x := range s.Sessions {
		luns, err := s.Doc.LUNMap(x.Target, x.Group)
		if err != nil {
			continue
		}
		for _, l := range *luns {
			if l.Device == device {
				who = append(who, x.Initiator)
				break
			}
		}
	}
	if len(who) == 0 {
		return "\n\nNobody who sees it is logged in."
	}
	return "\n\nLogged in, and see it:\n" + strings.Join(who, "\n")
}
