// Package tui is the text console: what an administrator sees on the server's
// screen, on a serial line and over SSH. Everything goes through the API, as
// the esos command does.
package tui

import (
	"context"
	"slices"

	"github.com/esos-project/esos/internal/tui/alua"
	"github.com/esos-project/esos/internal/tui/console"
	"github.com/esos-project/esos/internal/tui/devices"
	"github.com/esos-project/esos/internal/tui/filesystems"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/hardware"
	"github.com/esos-project/esos/internal/tui/home"
	"github.com/esos-project/esos/internal/tui/hosts"
	"github.com/esos-project/esos/internal/tui/raid"
	"github.com/esos-project/esos/internal/tui/system"
	"github.com/esos-project/esos/internal/tui/targets"
	"github.com/esos-project/esos/internal/tui/upkeep"
	"github.com/esos-project/esos/internal/tui/volumes"
	"github.com/esos-project/esos/internal/tui/wizards"
)

// Menus are all menus, in the order of the screen.
func Menus() []frame.Menu {
	return []frame.Menu{
		systemMenu(),
		hardware.Menu(),
		raid.Menu(),
		volumes.Menu(),
		filesystems.Menu(),
		hosts.Menu(),
		devices.Menu(),
		targets.Menu(),
		alua.Menu(),
		console.Menu(),
	}
}

// systemMenu has the array's upkeep in it, where users know its entries from,
// and the wizards at its end.
func systemMenu() frame.Menu {
	m := system.Menu()
	own := m.Actions
	clock := slices.IndexFunc(own, func(a frame.Action) bool { return slices.Contains(a.IDs, "S12") })
	var known, rest []frame.Action
	for _, a := range upkeep.Actions() {
		if len(a.IDs) > 0 {
			known = append(known, a)
		} else {
			rest = append(rest, a)
		}
	}
	m.Actions = slices.Concat(own[:clock], known, own[clock:], rest, wizards.Actions())
	return m
}

// Run shows the console until whoever sits there quits.
func Run(ctx context.Context, s frame.Setup) error {
	d := frame.New(s)
	d.SetEntries(Menus)
	return d.Run(ctx, home.New(d, Menus()))
}
