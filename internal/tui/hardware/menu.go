// Package hardware is the Hardware RAID menu: controllers, and the disks themselves, wherever they are.
package hardware

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "Hardware RAID", Key: 'a', Actions: []frame.Action{}}
}
