package upkeep

import (
	"fmt"
	"time"

	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// dump is one of those that 'esos crash list' shows.
type dump struct {
	Name     string    `json:"name"`
	When     time.Time `json:"when"`
	Version  string    `json:"version"`
	Slot     string    `json:"slot"`
	Reason   string    `json:"reason"`
	Complete bool      `json:"complete"`
	Dropped  bool      `json:"dropped"`
	Size     int64     `json:"size"`
	Error    string    `json:"error"`
}

// memory says what there is of the kernel's memory.
func (x dump) memory() string {
	switch {
	case x.Dropped:
		return "made room"
	case x.Complete:
		return pick.Size(x.Size)
	}
	return "none"
}

// crashDumps shows what was saved of kernels that crashed.
func crashDumps(d *frame.Desk) {
	var l *frame.List
	again := func() { l.Again() }
	name := func(r frame.Row) string { return r.Value.(dump).Name }
	l = &frame.List{Title: "Crash Dumps", Command: "esos crash list", Once: true,
		Help: "A kernel that crashes is saved by a second one: its messages, and its memory without what belongs to programs and caches. " +
			"The memory may hold what initiators read and wrote: treat it like the disks.",
		Empty:   "No kernel crashed, as far as the medium tells.",
		Columns: []frame.Column{{Title: "when"}, {Title: "memory"}, {Title: "reason", Wide: true}, {Title: "name"}},
		Read: rowsOf(d, func(x dump) frame.Row {
			return frame.Row{ID: x.Name, Value: x, Why: x.Error, Cells: []string{when(x.When), x.memory(), x.Reason, x.Name}}
		}, "crash", "list"),
		Keys: []frame.RowKey{
			{Key: 's', Does: "messages", Do: func(r frame.Row) {
				d.Output("Read the messages", func(text string) {
					x := r.Value.(dump)
					showText(d, fmt.Sprintf("%s, ESOS %s of slot %s", x.Name, x.Version, x.Slot), "esos crash show "+name(r), text)
				}, "crash", "show", name(r))
			}},
			{Key: 'a', Does: "seen to", Do: func(r frame.Row) {
				d.Ask("Was this crash seen to?", "Its alert is cleared, and the dump is kept.", "It was", func() { d.Command("Crash seen to", again, "crash", "ack", name(r)) })
			}},
			{Key: 'e', Does: "export", Do: func(r frame.Row) {
				export(d, "Export a Crash Dump", "A tar file with the kernel's memory, its messages and their description. Have room for it: /tmp is in the memory of the array.",
					"crash", "export", name(r))
			}},
			{Key: 'd', Does: "delete", Do: func(r frame.Row) {
				named(d, "Delete a crash dump", "It is gone for good, and its alert with it.", name(r), "Delete",
					func() { d.Command("Delete "+name(r), again, "crash", "delete", name(r)) })
			}},
		}}
	d.List(l)
}

// export copies something off the medium into a file.
func export(d *frame.Desk, title, intro string, args ...string) {
	var file string
	f := &frame.Form{Title: title, Intro: intro, Submit: "Export", Command: "esos " + args[0] + " export NAME FILE",
		Fields: []frame.Field{{Label: "File", Text: &file, Check: filePath, Hint: "Such as /mnt/vdisks/fs1/NAME.tar, on a file system of the array. A file of that name is replaced."}}}
	f.Do = func() {
		d.Ask("Write this file?", file+"\n\nA file of that name is replaced.", "Write", func() { run(d, f, title, append(args, file)...) })
	}
	d.Form(f)
}
