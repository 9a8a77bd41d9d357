package hardware

import (
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/host/hwraid"
	"github.com/esos-project/esos/internal/tui/frame"
)

// newVolume asks for a volume that is to be made.
func newVolume(d *frame.Desk, all []hwraid.Controller) {
	options := controllerOptions(all, has(freeDrive, "it has no free drive"))
	if nothing(d, options) {
		return
	}
	id, level, cache, ahead := first(options), "", hwraid.WriteThrough, false
	var drives []string
	f := &frame.Form{Title: "Add a volume", Command: "esos hwraid add-volume CONTROLLER --level LEVEL --drive DRIVE", Submit: "Make it",
		Intro: "Free drives of a controller are made into a volume, which is then among Disks.",
		Help:  "The controller's program makes the volume. What the defaults are is safe for all controllers; the rest of what a controller can do is in the manual of its program (Controllers' Programs)."}
	driveField := frame.Field{Label: "Drives", Many: &drives, Columns: driveColumns(), Options: driveOptions(find(all, id), freeDrive),
		Hint: "Of one size and kind, best: the smallest gives the size. Those that something has cannot be chosen, and say why.",
		Check: func(s string) error {
			n := len(strings.Fields(s))
			if n == 0 {
				return fmt.Errorf("at least one drive is needed")
			}
			if level == "" {
				return nil // that field says so
			}
			return hwraid.CheckLevel(level, n)
		}}
	const driveAt = 2
	f.Fields = []frame.Field{
		controllerField(&id, options, func() {
			drives = nil
			f.Fields[driveAt].Options = driveOptions(find(all, id), freeDrive)
		}),
		{Label: "Level", One: &level, Columns: []string{"level", "drives", "outlives"}, Check: frame.Needed, Hint: "How many drives may fail before data are lost, and what that costs.", Options: []frame.Option{
			{Value: "0", Cells: []string{"RAID 0", "1 or more", "no failure: all is lost with one drive"}},
			{Value: "1", Cells: []string{"RAID 1", "2", "1 drive"}},
			{Value: "5", Cells: []string{"RAID 5", "3 or more", "1 drive"}},
			{Value: "6", Cells: []string{"RAID 6", "4 or more", "2 drives"}},
			{Value: "10", Cells: []string{"RAID 10", "4, 6, 8 ...", "1 drive of each pair"}},
		}},
		driveField,
		{Label: "Write cache", One: &cache, Columns: []string{"mode", ""}, Hint: "Write-back only if the controller's memory outlives a loss of power: with a battery or a capacitor that is well.", Options: []frame.Option{
			{Value: hwraid.WriteThrough, Cells: []string{"write-through", "safe: what was written is on the drives"}},
			{Value: hwraid.WriteBack, Cells: []string{"write-back", "fast: some of it is in the controller's memory only"}},
		}},
		{Label: "Read-ahead", Yes: &ahead, Hint: "Read more than is asked for: good for streams, bad for databases."},
	}
	f.Do = func() {
		args := []string{"add-volume", id, "--level", level, "--drive", strings.Join(drives, ","), "--write-cache", cache}
		if ahead {
			args = append(args, "--read-ahead")
		}
		d.Ask("Make the volume?", fmt.Sprintf("RAID %s on controller %s, of the drives %s.\n\nWhatever these drives still hold is lost.", level, id, strings.Join(drives, ", ")), "Make it",
			func() { runHardware(d, f, "Add a volume", args...) })
	}
	d.Form(f)
}

// dropVolume asks for a volume that is to go, and for its name.
func dropVolume(d *frame.Desk, all []hwraid.Controller) {
	p := &frame.Picker{Title: "Remove which volume?", Command: "esos hwraid list", Columns: []string{"controller", "volume", "level", "size", "state", "disk", "drives"},
		Intro: "A volume goes with all that it holds."}
	for _, c := range all {
		for _, v := range c.Volumes {
			p.Options = append(p.Options, frame.Option{Value: fmt.Sprintf("%s/%d", c.ID, v.Number),
				Cells: []string{c.ID, fmt.Sprint(v.Number), v.Level, v.Size, v.State, v.Disk, strings.Join(v.Drives, " ")}})
		}
	}
	if len(p.Options) == 0 {
		d.Say("No volume", "No controller here has a volume. Add Volume makes one.")
		return
	}
	p.Do = func(chosen []string) {
		d.Close(p)
		for _, c := range all {
			for _, v := range c.Volumes {
				if chosen[0] == fmt.Sprintf("%s/%d", c.ID, v.Number) {
					d.Output("Look at what would be lost", func(lost string) { nameVolume(d, c, v, lost) }, "hwraid", "remove-volume", c.ID, fmt.Sprint(v.Number), "--dry-run")
				}
			}
		}
	}
	d.Pick(p)
}

// nameVolume asks for the name of a volume that is to go; lost is what goes with
// it.
func nameVolume(d *frame.Desk, c hwraid.Controller, v hwraid.Volume, lost string) {
	name, typed := fmt.Sprintf("hwraid/%s/%d", c.ID, v.Number), ""
	args := []string{"remove-volume", c.ID, fmt.Sprint(v.Number), "--destroy", name}
	lost, _, _ = strings.Cut(lost, "\n") // the rest says that nothing was done yet
	f := &frame.Form{Title: "This destroys a volume", Command: "esos hwraid " + strings.Join(args, " "), Submit: "Destroy",
		Intro: lost + "\n\nType " + name + " to have it destroyed. Its drives are free then.",
		Fields: []frame.Field{{Label: "Name", Text: &typed, Hint: "exactly " + name, Check: func(s string) error {
			if s != name {
				return fmt.Errorf("not %s: nothing was changed", name)
			}
			return nil
		}}}}
	f.Do = func() { runHardware(d, f, "Remove a volume", args...) }
	d.Form(f)
}

// newSpare asks for a drive that is to stand by.
func newSpare(d *frame.Desk, all []hwraid.Controller) {
	spare(d, all, "Add a hot spare", spareKind{"add-spare", "A free drive stands by, and takes the place of one that fails in any volume of its controller, by itself.",
		"As large as the largest drive of the controller's volumes, and of the same kind.", freeDrive, "it has no free drive"})
}

// dropSpare asks for a hot spare that is to be free again.
func dropSpare(d *frame.Desk, all []hwraid.Controller) {
	spare(d, all, "Remove a hot spare", spareKind{"remove-spare", "A hot spare stands by no more, and can be made part of a volume.",
		"Volumes without another spare wait for a hand when a drive fails.", spareDrive, "it has no hot spare"})
}

// spareKind is one of the two things that are done with hot spares.
type spareKind struct {
	verb, text, hint string
	why              func(hwraid.Drive) string
	nothing          string
}

func spare(d *frame.Desk, all []hwraid.Controller, title string, k spareKind) {
	options := controllerOptions(all, has(k.why, k.nothing))
	if nothing(d, options) {
		return
	}
	id, place := first(options), ""
	f := &frame.Form{Title: title, Command: "esos hwraid " + k.verb + " CONTROLLER DRIVE", Intro: k.text}
	f.Fields = []frame.Field{
		controllerField(&id, options, func() {
			place = ""
			f.Fields[1].Options = driveOptions(find(all, id), k.why)
		}),
		{Label: "Drive", One: &place, Columns: driveColumns(), Options: driveOptions(find(all, id), k.why), Check: frame.Needed, Hint: k.hint},
	}
	f.Do = func() { runHardware(d, f, title, k.verb, id, place) }
	d.Form(f)
}
