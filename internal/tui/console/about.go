package console

import (
	_ "embed"
	"fmt"
	"os"
	"runtime"

	"github.com/esos-project/esos/internal/tui/frame"
)

// licence is the tree's LICENSE; a test holds the two together.
//
//go:embed LICENSE
var licence string

func about(d *frame.Desk) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	text := fmt.Sprintf(`ESOS: Enterprise Storage OS

Version    %s
Host       %s
Built with %s for %s/%s
You are    %s

Copyright the ESOS authors. Licensed under the Apache License, version 2.0: you may use, change and pass it on; there is no warranty. l shows all of it. Nobody has to accept it before this console works.

Most of what an appliance carries is others' work, each under its own licence: docs/components.md of the project lists all of it, and /usr/share/doc has theirs.
`, d.Version(), host, runtime.Version(), runtime.GOOS, runtime.GOARCH, d.User())
	d.Page(&frame.Page{Title: "About", Command: "esos version", Text: text, Keys: []frame.PageKey{
		{Key: 'l', Does: "licence", Do: func() { d.Page(&frame.Page{Title: "Licence", Text: licence}) }}}})
}

func help(d *frame.Desk) {
	d.Page(&frame.Page{Title: "Help", Command: "esos help", Text: `The first screen shows the array at a glance. Menus are at its top and bottom.

    S A O L F       System, Hardware RAID, Software RAID, LVM, File Systems
    H D T U I       Hosts, Devices, Targets, ALUA, Interface
    Left Right      in an open menu: the menu beside it
    Up Down Enter   in menus, lists and forms: move, choose
    letters         in lists and pages: what the line at the bottom says
    Tab Shift-Tab   in forms: the next field, the one before
    Space           in forms: choose, or yes and no
    Ctrl-U          empty a field
    /  Ctrl-F       search: any action, device, target, disk, user by a part of its name
    ?  F1           help on what is shown, with the esos command that does the same
    Esc             back; nothing is changed
    Ctrl-L          draw the screen anew

Every change is shown as a plan first and is carried out when it was confirmed. What
destroys something asks for its name, typed. Changes can be taken back: System,
Configuration History.

Sizes are in any unit: 10GiB, 1.5TB, 512MiB. Addresses are IPv4 or IPv6.

If the array's daemon does not answer, the line at the top says so. Nothing that was
typed is lost; the console goes on when the daemon does.

All of it is there for scripts, too: esos help, and docs/cli.md.
`})
}
