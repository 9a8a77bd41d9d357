package upkeep

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// generation is one of those that 'esos config generations' lists.
type generation struct {
	Number  int       `json:"number"`
	When    time.Time `json:"when"`
	Reason  string    `json:"reason"`
	Slot    string    `json:"slot"`
	Version string    `json:"version"`
	Host    string    `json:"host"`
	Factory bool      `json:"factory"`
	Files   int       `json:"files"`
	Archive int64     `json:"archive"`
	Current bool      `json:"current"`
	Slots   []string  `json:"slots"`
	Damage  string    `json:"damage"`
}

func (g generation) state() string {
	if g.Damage != "" {
		return "damaged"
	}
	var s []string
	if g.Current {
		s = append(s, "in force")
	}
	if g.Factory {
		s = append(s, "factory")
	}
	for _, name := range g.Slots {
		s = append(s, "last of "+name)
	}
	return strings.Join(s, ", ")
}

func (g generation) page() *frame.Page {
	var b strings.Builder
	for _, x := range [][2]string{{"Generation", strconv.Itoa(g.Number)}, {"When", when(g.When)}, {"Why", g.Reason}, {"State", g.state()}, {"Damage", g.Damage},
		{"Host", g.Host}, {"Version", g.Version}, {"Slot", g.Slot}, {"Entries", strconv.Itoa(g.Files)}, {"On the medium", pick.Size(g.Archive)}} {
		if x[1] != "" {
			fmt.Fprintf(&b, "%-14s %s\n", x[0], x[1])
		}
	}
	return &frame.Page{Title: fmt.Sprintf("Generation %d", g.Number), Command: "esos config generations", Text: b.String()}
}

// generations shows the settings that are saved on the medium.
func generations(d *frame.Desk) {
	var l *frame.List
	again := func() { l.Again() }
	l = &frame.List{Title: "Saved Settings", Command: "esos config generations", Once: true,
		Help: "The settings that are saved on the medium, the newest first, each checked to the last byte: all that differs from the image " +
			"under /etc, /var/lib, /opt and /root, documents included. One that is brought back is in force from the next boot on. " +
			"To go back to an older document without a reboot, use Configuration History.",
		Empty:   "Nothing was saved yet.",
		Columns: []frame.Column{{Title: "no.", Right: true}, {Title: "when"}, {Title: "state"}, {Title: "size", Right: true}, {Title: "why", Wide: true}},
		Read: rowsOf(d, func(g generation) frame.Row {
			row := frame.Row{ID: strconv.Itoa(g.Number), Value: g, Why: g.Damage,
				Cells: []string{strconv.Itoa(g.Number), when(g.When), g.state(), pick.Size(g.Archive), g.Reason}}
			switch {
			case g.Damage != "":
				row.Level = frame.Bad
			case g.Current:
				row.Level = frame.Good
			}
			return row
		}, "config", "generations"),
		Keys: []frame.RowKey{
			{Key: 'i', Does: "look", Do: func(r frame.Row) { d.Page(r.Value.(generation).page()) }},
			{Key: 'r', Does: "bring back", Do: func(r frame.Row) { restore(d, r.Value.(generation), again) }},
			{Key: 'u', Does: "call it off", Always: true, Do: func(frame.Row) {
				d.Ask("Call off what waits for the next boot?", "The next boot comes up with the settings that are in force now, and they are saved again.", "Call it off",
					func() { d.Command("Call it off", again, "config", "restore", "--undo") })
			}},
			{Key: 's', Does: "save now", Always: true, Do: func(frame.Row) {
				d.Ask("Save the settings now?", "What changed since the last generation goes into a new one on the medium. If nothing changed, nothing is written.", "Save",
					func() { d.Command("Save the settings", again, "sync") })
			}},
			{Key: 'b', Does: "back up", Always: true, Do: func(frame.Row) { backup(d) }},
		}}
	d.List(l)
}

const heldUntilBoot = "What is changed from now on until the reboot is not saved; what there is now is saved before, and can be brought back the same way."

func restore(d *frame.Desk, g generation, again func()) {
	if g.Damage != "" {
		d.Warn("It cannot be brought back", fmt.Sprintf("Generation %d is damaged: %s. Choose another one.", g.Number, g.Damage))
		return
	}
	d.Ask(fmt.Sprintf("Bring generation %d back at the next boot?", g.Number),
		fmt.Sprintf("The next boot comes up with the settings of %s (%s). %s", when(g.When), g.Reason, heldUntilBoot), "Bring it back",
		func() { d.Command("Bring settings back", again, "config", "restore", strconv.Itoa(g.Number), "--yes") })
}

// restoreFile brings the settings of a backup back.
func restoreFile(d *frame.Desk) {
	var file string
	f := &frame.Form{Title: "Restore Settings From a File", Command: "esos config restore FILE", Submit: "Restore",
		Intro: "The settings of a backup, of this machine or of one whose place it takes, are checked and are in force from the next boot on.",
		Fields: []frame.Field{{Label: "File", Text: &file, Check: filePath,
			Hint: "A file that Back Up Settings wrote, such as /tmp/array1.esos-settings."}}}
	f.Do = func() {
		d.Ask("Bring these settings back at the next boot?", file+"\n\n"+heldUntilBoot, "Bring them back", func() {
			run(d, f, "Bring settings back", "config", "restore", file, "--yes")
		})
	}
	d.Form(f)
}

// backup writes all settings to a file.
func backup(d *frame.Desk) {
	file := ""
	f := &frame.Form{Title: "Back Up Settings", Command: "esos config backup FILE", Submit: "Back up",
		Intro: "All settings go into one file, which Restore Settings From a File reads, here or on a machine that takes this one's place. It has all secrets: keep it like a key.",
		Fields: []frame.Field{{Label: "File", Text: &file, Check: filePath,
			Hint: "Such as /mnt/vdisks/fs1/array1.esos-settings; /tmp is gone after a reboot. A file of that name is replaced."}}}
	f.Do = func() {
		d.Ask("Write all settings, with their secrets?", "They are written to "+file+". Only root can read it. A file of that name is replaced.", "Write",
			func() { run(d, f, "Back up the settings", "config", "backup", file) })
	}
	d.Form(f)
}

// factoryReset has the next boot come up as the first one did.
func factoryReset(d *frame.Desk) {
	named(d, "Factory Reset", "From the next boot on this array serves only what its medium was made with, and knows none of its users. "+
		"Disks and image files are not touched, and the settings of now stay as an older generation that can be brought back.",
		"factory-reset", "Reset", func() { d.Command("Factory reset", nil, "config", "factory-reset", "--yes") })
}
