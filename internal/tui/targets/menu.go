// Package targets is the Targets menu: targets, portals and NVMe subsystems.
package targets

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "Targets", Key: 't', Bottom: true, Actions: []frame.Action{}}
}
