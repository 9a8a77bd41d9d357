// Package volumes is the LVM menu: volume groups and volumes.
package volumes

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "LVM", Key: 'l', Actions: []frame.Action{}}
}
