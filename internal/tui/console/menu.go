// Package console is the Interface menu: the console itself.
package console

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "Interface", Key: 'i', Bottom: true, Actions: []frame.Action{}}
}
