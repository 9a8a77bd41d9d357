// Package devices is the Devices menu: what LUNs lead to, and the LUNs.
package devices

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "Devices", Key: 'd', Bottom: true, Actions: []frame.Action{}}
}
