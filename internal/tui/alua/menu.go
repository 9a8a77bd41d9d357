// Package alua is the ALUA menu: device groups, target groups and their states.
package alua

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "ALUA", Key: 'u', Bottom: true, Actions: []frame.Action{}}
}
