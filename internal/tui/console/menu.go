// Package console is the Interface menu: the console itself.
package console

import (
	"context"
	"errors"

	"github.com/esos-project/esos/internal/tui/frame"
)

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "Interface", Key: 'i', Bottom: true, Actions: []frame.Action{
		{Title: "Quit", Does: "Save the settings to the boot medium, and end the console and the session.", IDs: []string{"I1"}, Command: "esos sync", Do: Quit},
		{Title: "Exit to Shell", Does: "A shell, as the user who logged in. exit leads back here.", IDs: []string{"I2"}, Command: "esos shell", Do: toShell},
		{Title: "Color Theme", Does: "How the console looks to you: colours as ever, more contrast, or none.", IDs: []string{"I3"}, Do: theme},
		{Title: "Help", Does: "Which keys do what, everywhere.", IDs: []string{"I4"}, Command: "esos help", Do: help},
		{Title: "Support Bundle", Does: "A file for those who are to find out what is wrong. It holds no secrets.", IDs: []string{"I5"}, Command: "esos support-bundle", Do: support},
		{Title: "About", Does: "The version, the machine, the licence.", IDs: []string{"I6"}, Command: "esos version", Do: about},
		{Title: "Become Root", Does: "Type your password once, for what works on the machine itself: slots, upgrades, logs, backups.", Command: "sudo -v", Do: becomeRoot},
	}}
}

// Quit saves the settings and ends the console. What cannot be saved is said
// before.
func Quit(d *frame.Desk) {
	save := func(ctx context.Context) (string, error) {
		// It knows whether there is anything to save to, and saves nothing.
		var failed *frame.CommandError
		if _, err := d.CommandOutput(ctx, "sync", "--last"); errors.As(err, &failed) && failed.Code == notHere {
			return "", nil
		}
		return d.CommandOutput(ctx, "sync", "--reason", "the console was left")
	}
	frame.LoadElse(d, "Save the settings to the boot medium", save, func(string) { d.Quit() }, func(err error) {
		if !worthSaying(err) {
			d.Quit()
			return
		}
		d.Choose("The settings were not saved", err.Error()+"\n\nThey are in force. What was changed since the last save is lost when the machine restarts before it can save them.",
			frame.Answer{Text: "Stay", Do: func() {}},
			frame.Answer{Text: "Quit all the same", Do: d.Quit})
	})
}

// worthSaying says whether somebody who leaves must know that the settings were
// not saved: not if they may not save at all; the daemon has saved each change by
// itself.
func worthSaying(err error) bool {
	var failed *frame.CommandError
	return !errors.As(err, &failed) || failed.Code != denied
}

// Exit codes of esos sync.
const (
	denied  = 6
	notHere = 8
)

func toShell(d *frame.Desk) {
	if err := d.Shell(); err != nil {
		d.Fail("Exit to Shell", err)
	}
}

func becomeRoot(d *frame.Desk) {
	if err := d.Root(); err != nil {
		d.Warn("Become Root", "That was refused: the password was wrong, or your role is not admin. All else works on.\n\n"+err.Error())
		return
	}
	d.Toast(frame.Good, "For the next minutes, commands that only root may run work, too.")
}

func theme(d *frame.Desk) {
	p := &frame.Picker{Title: "Color Theme", Intro: "It is in force at once, and kept for you.", Chosen: []string{d.Theme().Name},
		Options: []frame.Option{
			{Value: "blue", Cells: []string{"blue", "white on blue, as ever"}},
			{Value: "black", Cells: []string{"black", "silver on black"}},
			{Value: "contrast", Cells: []string{"contrast", "few colours that differ a lot"}},
			{Value: "none", Cells: []string{"none", "no colours: bold, underlined and reversed only"}},
		}}
	p.Do = func(chosen []string) {
		d.Close(p)
		t := frame.FindTheme(chosen[0])
		if err := d.KeepTheme(t); err != nil {
			d.Warn("The theme is in force, but it is not kept", err.Error())
			return
		}
		d.Toast(frame.Good, "The theme is "+t.Name+".")
	}
	d.Pick(p)
}

func support(d *frame.Desk) {
	d.Ask("Support Bundle", "The document, the logs, the kernel's messages and how the array is are put into one file. Secrets are left out; names, addresses and serial numbers are in it.\n\nIt takes up to a minute. As root there is more in it.",
		"Gather", func() { d.Command("Support Bundle", nil, "support-bundle") })
}
