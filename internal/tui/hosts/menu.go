// Package hosts is the Hosts menu: host groups, initiators and their sessions.
package hosts

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "Hosts", Key: 'h', Bottom: true, Actions: []frame.Action{}}
}
