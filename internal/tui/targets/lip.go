package targets

import (
	"slices"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// lip has the fabric look again at this machine's ports.
func lip(d *frame.Desk) {
	pick.WithServing(d, func(s pick.Serving) {
		if !slices.ContainsFunc(s.Doc.Targets, func(t config.Target) bool { return t.Driver == config.DriverFC || t.Driver == config.DriverFCoE }) {
			text := "No Fibre Channel or FCoE target is configured, so there is nothing to be looked at: a LIP concerns these fabrics only."
			if s.Doc.EngineName() == "native" {
				text += "\n\nThis array's engine is native, which serves iSCSI. Engines lio and scst serve Fibre Channel; then Add Target of Another Fabric adds a port."
			}
			d.Say("Issue LIP", text)
			return
		}
		d.Ask("Issue a LIP?", "Each Fibre Channel and FCoE port of this machine begins its link anew, and hosts and switches look again at what is there. I/O through the ports stops for a moment.", "Issue LIP",
			func() { d.Command("Issue LIP", nil, "target", "lip") })
	})
}
