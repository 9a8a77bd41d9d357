// Package raid is the Software RAID menu: arrays of the kernel's md.
package raid

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "Software RAID", Key: 'o', Actions: []frame.Action{}}
}
