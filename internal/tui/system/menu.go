// Package system is the System menu: network, clock, mail, people, services, and the array's own upkeep.
package system

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "System", Key: 's', Actions: []frame.Action{}}
}
