package upkeep

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/carry/foreign"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// importFile takes over the settings of another target.
func importFile(d *frame.Desk) {
	var file, format string
	f := &frame.Form{Title: "Import Settings", Command: "esos import FILE", Submit: "Read it",
		Intro: "The devices, portals, targets and device groups of the file take the place of those in force; network, users and the rest stay. What cannot be carried is listed before anything is done.",
		Fields: []frame.Field{
			{Label: "File", Text: &file, Check: filePath, Hint: "SCST's scst.conf or LIO's saveconfig.json, on this machine."},
			{Label: "Format", One: &format, Hint: "By its contents, as a rule.",
				Options: []frame.Option{{Value: "", Cells: []string{"by its contents"}}, {Value: "scst", Cells: []string{"scst.conf of SCST"}}, {Value: "lio", Cells: []string{"saveconfig.json of LIO"}}}},
		}}
	f.Do = func() {
		frame.Load(d, "Read the file", func(context.Context) (*carry.Import, error) { return readForeign(file, format) },
			func(found *carry.Import) { showImport(d, f, file, found) })
	}
	d.Form(f)
}

func readForeign(file, format string) (*carry.Import, error) {
	text, err := foreign.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f, err := foreign.Find(format, file, text)
	if err != nil {
		return nil, err
	}
	return f.Read(file, text)
}

// showImport shows what was understood of a file, before it is planned.
func showImport(d *frame.Desk, f *frame.Form, file string, found *carry.Import) {
	var b strings.Builder
	doc := found.Document
	fmt.Fprintf(&b, "Understood: %s, %s, %s\n", count(len(doc.Devices), "device"), count(len(doc.Targets), "target"), count(len(doc.DeviceGroups), "device group"))
	for _, t := range doc.Targets {
		luns, initiators, state := len(t.LUNs), 0, ""
		for _, g := range t.Groups {
			luns += len(g.LUNs)
			initiators += len(g.Initiators)
		}
		if t.Disabled {
			state = ", disabled"
		}
		fmt.Fprintf(&b, "  %s: %s, %s with %s, %s%s\n", t.Name, count(luns, "LUN"), count(len(t.Groups), "host group"), count(initiators, "initiator"),
			count(len(t.Auth.Users), "CHAP user"), state)
	}
	b.WriteString("\n")
	if len(found.Left) == 0 {
		b.WriteString("Everything is carried.\n")
	} else {
		missed := 0
		for _, l := range found.Left {
			if l.Missed {
				missed++
			}
		}
		fmt.Fprintf(&b, "%s cannot be carried; initiators notice %d of them (!):\n", count(len(found.Left), "thing"), missed)
		for _, l := range found.Left {
			mark := " "
			if l.Missed {
				mark = "!"
			}
			fmt.Fprintf(&b, "%s %s\n", mark, l)
		}
	}
	b.WriteString("\nPress p to see what would be done, Esc to leave all as it is.\n")
	p := &frame.Page{Title: "Import", Command: "esos import " + quoted(file), Text: b.String(),
		Help: "What was understood of the file. Lines with a ! are what initiators notice: they lose a disk, see another one, or are let in or kept out differently."}
	p.Keys = []frame.PageKey{{Key: 'p', Does: "plan", Do: func() {
		d.Change(frame.Change{Why: "esos import " + quoted(file), From: f, Edit: func(doc *config.Document) error {
			foreign.MoveIn(doc, found)
			return nil
		}})
	}}}
	d.Page(p)
}

// exportFile writes devices and targets for another target.
func exportFile(d *frame.Desk) {
	var file string
	format, reveal := "scst", false
	f := &frame.Form{Title: "Export Settings", Command: "esos export --format FORMAT FILE", Submit: "Export",
		Intro: "The devices and targets of the document in force are written for another target to read. What its file cannot say is listed.",
		Fields: []frame.Field{
			{Label: "Format", One: &format, Hint: "Who is to read it.",
				Options: []frame.Option{{Value: "scst", Cells: []string{"scst.conf of SCST"}}, {Value: "lio", Cells: []string{"saveconfig.json of LIO"}}}},
			{Label: "File", Text: &file, Check: filePath, Hint: "Such as /tmp/scst.conf. Only its owner can read it. A file of that name is replaced."},
			{Label: "With CHAP secrets", Yes: &reveal, Hint: "Needed if there are CHAP users: without secrets the file would not keep the same people out. Keep it like a key then."},
		}}
	f.Do = func() {
		args := []string{"export", "--format", format}
		text := file + "\n\nA file of that name is replaced."
		if reveal {
			args = append(args, "--reveal")
			text += " It has CHAP secrets in plain text."
		}
		d.Ask("Write this file?", text, "Write", func() { run(d, f, "Export", append(args, file)...) })
	}
	d.Form(f)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
