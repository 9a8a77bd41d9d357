// Package tui is the text console: what an administrator sees on the server's
// screen, on a serial line and over SSH. Everything goes through the API, as
// the esos command does.
package tui

import (
	"context"

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
	"github.com/esos-project/esos/internal/tui/volumes"
)

// Menus are all menus, in the order of the screen.
func Menus() []frame.Menu {
	return []frame.Menu{
		system.Menu(),
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

// Run shows the console until whoever sits there quits.
func Run(ctx context.Context, s frame.Setup) error {
	d := frame.New(s)
	d.SetEntries(Menus)
	return d.Run(ctx, home.New(d, Menus()))
}
