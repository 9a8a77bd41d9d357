package upkeep

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// bootMedium shows the stick or disk that this array was booted from. One that
// is gone is no reason to show nothing: another one can be adopted then.
func bootMedium(d *frame.Desk) {
	p := &frame.Page{Title: "Boot Medium", Command: "esos medium status",
		Help: "The stick or disk that this array was booted from, wherever it is now. If it was pulled or is broken, the array serves on, but settings cannot be saved: " +
			"put it back, or plug in another one made by mkesos and adopt it."}
	read := func() {
		frame.LoadElse(d, "Look at the medium", func(ctx context.Context) (string, error) { return d.CommandOutput(ctx, "medium", "status") },
			func(text string) { p.Text = text },
			func(err error) { p.Text = "The medium cannot be looked at: " + err.Error() })
	}
	p.Keys = []frame.PageKey{
		{Key: 'l', Does: "look again", Do: read},
		{Key: 'g', Does: "grow", Do: func() {
			d.Ask("Give the medium all of its drive?", "Its partition for logs grows to the end of the drive; on a large drive a partition for data is made behind it. Nothing is lost, and nothing is done where nothing is to do.",
				"Grow", func() { d.Command("Grow the medium", read, "medium", "grow") })
		}},
		{Key: 'a', Does: "adopt another", Do: func() {
			d.Ask("Take another medium for the one that was lost?", "One that mkesos made must be plugged in. It gets all settings at once, and the next boot can be from it. "+
				"One that has the settings of another machine is refused here: 'esos medium adopt --yes' takes that, too, and those settings are lost.",
				"Adopt it", func() { d.Command("Adopt a medium", read, "medium", "adopt") })
		}},
	}
	d.Page(p)
	read()
}

// install puts ESOS onto a disk or stick, from the ISO.
func install(d *frame.Desk) {
	frame.Load(d, "Read the disks", d.Client().Storage, func(s v1.StorageState) {
		options := installable(s)
		var path string
		f := &frame.Form{Title: "Install on Another Disk", Command: "esos install --device DISK --wipe", Submit: "Install",
			Intro: "ESOS is put onto a disk or stick, which boots by itself afterwards. This works on a system that was booted from the ISO; to make another stick of a running array, write one with 'mkesos write'.",
			Fields: []frame.Field{{Label: "Disk", One: &path, Options: options, Columns: pick.BlockColumns(), Check: frame.Needed,
				Hint: "Everything on it is lost. Those that are used cannot be chosen."}}}
		f.Do = func() {
			name := path
			for _, o := range options {
				if o.Value == path {
					name = o.Cells[0]
				}
			}
			named(d, "Everything on it is lost", fmt.Sprintf("ESOS is installed on %s (%s). What is on it cannot be brought back.", name, path), name, "Install",
				func() {
					run(d, f, "Install", "install", "--device", path, "--wipe", "--no-prompt", "--no-reboot")
				})
		}
		d.Form(f)
	})
}

// installable are the disks that are whole: no partitions, nothing made of disks.
func installable(s v1.StorageState) []frame.Option {
	whole := v1.StorageState{}
	for _, x := range slices.Concat(s.Disks, s.Blocks) {
		if x.Type == "disk" && !strings.HasPrefix(x.Name, "drbd") {
			whole.Disks = append(whole.Disks, x)
		}
	}
	return pick.Blocks(whole)
}
