package hardware

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// severalPaths is a disk that is reached by several paths, or is declared as
// one.
type severalPaths struct {
	name, wwid string
	size       int64
	paths      []v1.DiskPath
	state      string
	level      frame.Level
	why        string
}

// Multipath shows the disks that are reached by several paths.
func Multipath(d *frame.Desk) {
	of := func(r frame.Row) severalPaths { return r.Value.(severalPaths) }
	d.List(&frame.List{
		Title: "Multipath", Command: "esos multipath list",
		Help: "Disks that are reached by several paths: those with a name, whose paths are gathered at /dev/mapper/NAME, where I/O goes on while one of them works, and those that could have one. " +
			"No other disk is touched. Paths of NVMe disks the kernel gathers itself.",
		Columns: []frame.Column{{Title: "name"}, {Title: "size", Right: true}, {Title: "state"}, {Title: "wwid"}, {Title: "paths", Wide: true}},
		Empty:   "No disk is reached by several paths.",
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			now, err := d.Client().Storage(ctx)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, m := range gathered(doc.Storage.Multipath.Maps, now) {
				var paths []string
				for _, p := range m.paths {
					paths = append(paths, strings.TrimSuffix(p.Disk+" "+p.State, " "))
				}
				size := ""
				if m.size > 0 {
					size = config.Size(m.size).Human()
				}
				rows = append(rows, frame.Row{ID: m.wwid, Level: m.level, Why: m.why, Value: m, Cells: []string{m.name, size, m.state, m.wwid, strings.Join(paths, ", ")}})
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Does: "paths", Do: func(r frame.Row) { showPaths(d, of(r)) }},
			{Key: 'n', Does: "name", Do: func(r frame.Row) { nameDisk(d, of(r)) }},
			{Key: 'd', Does: "gather no more", Do: func(r frame.Row) {
				m := of(r)
				if m.name == "" {
					d.Say("Not gathered", "The paths to "+m.wwid+" are not gathered: each is a disk of its own.")
					return
				}
				d.Change(frame.Change{Why: "esos multipath unname " + m.name, Edit: func(doc *config.Document) error { return doc.UnnameDisk(m.name) }})
			}},
			{Key: 'p', Does: "settings", Always: true, Do: func(frame.Row) { multipathSettings(d) }},
		},
	})
}

// gathered puts together what is declared and what there is.
func gathered(declared []config.MultipathMap, now v1.StorageState) []severalPaths {
	sizes := map[string]int64{}
	for _, k := range now.Disks {
		sizes[k.Name] = k.Size
	}
	var all []severalPaths
	there := map[string]bool{}
	for _, m := range now.Multipath.Maps {
		there[m.WWID] = true
		works := 0
		for _, p := range m.Paths {
			if p.Works {
				works++
			}
		}
		s := severalPaths{name: m.Name, wwid: m.WWID, size: sizes[m.DM], paths: m.Paths, state: fmt.Sprintf("%d of %d paths", works, len(m.Paths)), level: frame.Good}
		switch {
		case works == 0:
			s.level, s.why = frame.Bad, "No path works: I/O waits for a minute, and then fails."
		case works < len(m.Paths):
			s.level, s.why = frame.Warn, "A path does not work: I/O goes on over the others. It is taken up again by itself."
		}
		all = append(all, s)
	}
	for _, m := range declared {
		if !there[m.WWID] {
			all = append(all, severalPaths{name: m.Name, wwid: m.WWID, state: "not there", level: frame.Bad, why: "No path leads to it. Remote Disks shows which array does not answer."})
		}
	}
	for _, o := range now.Multipath.Others {
		s := severalPaths{wwid: o.WWID, size: o.Size, state: "not gathered", level: frame.Warn, why: "Press n to give it a name: its paths are gathered then. As it is, none of them can be chosen for anything."}
		for _, k := range o.Disks {
			s.paths = append(s.paths, v1.DiskPath{Disk: k})
		}
		all = append(all, s)
	}
	return all
}

func showPaths(d *frame.Desk, m severalPaths) {
	var b strings.Builder
	fmt.Fprintf(&b, "Identifier:  %s\nState:       %s\n", m.wwid, m.state)
	if m.name != "" {
		fmt.Fprintf(&b, "Path:        /dev/mapper/%s\n", m.name)
	}
	b.WriteString("\nPaths:\n")
	for _, p := range m.paths {
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("  %-8s %-10s %s", p.Disk, p.State, p.Through), " "))
	}
	d.Page(&frame.Page{Title: "Paths to " + m.wwid, Command: "esos multipath list", Text: b.String(), Help: "ready: I/O can go this way; ghost: it stands by; faulty: it does not answer."})
}

// nameDisk asks for the name of a disk.
func nameDisk(d *frame.Desk, m severalPaths) {
	frame.Load(d, "Read the document", d.Document, func(doc *config.Document) {
		var taken []string
		for _, x := range doc.Storage.Multipath.Maps {
			if x.WWID != m.wwid {
				taken = append(taken, x.Name)
			}
		}
		for _, e := range doc.Storage.Encrypted {
			taken = append(taken, e.Name)
		}
		name := m.name
		f := &frame.Form{Title: "Name a disk of several paths", Command: "esos multipath name NAME " + m.wwid,
			Intro: "Its paths are gathered at /dev/mapper/NAME. A disk that nothing stands on can get another name.", Help: "Only disks with a name are gathered: multipath is never left to guess.",
			Fields: []frame.Field{{Label: "Name", Text: &name, Check: frame.Name(64, taken), Hint: m.wwid}}}
		f.Do = func() {
			d.Change(frame.Change{Why: "esos multipath name " + name + " " + m.wwid, From: f, Edit: func(doc *config.Document) error { return doc.NameDisk(name, m.wwid) }})
		}
		d.Form(f)
	})
}

// multipathSettings asks whether paths are gathered, and which one is taken.
func multipathSettings(d *frame.Desk) {
	frame.Load(d, "Read the document", d.Document, func(doc *config.Document) {
		was := doc.Storage.Multipath
		on, policy := was.Enabled, was.Policy
		if policy == "" {
			policy = "default"
		}
		f := &frame.Form{Title: "Multipath", Command: "esos multipath enable --policy service-time", Intro: "Whether the paths to disks that have a name are gathered.",
			Help: "Without it the names of disks are forgotten. It is refused while something stands on one of them."}
		f.Fields = []frame.Field{
			{Label: "Gather paths", Yes: &on, Hint: "Without it each path is a disk of its own."},
			{Label: "Policy", One: &policy, Show: func() bool { return on }, Hint: "Which path the next I/O takes.", Options: []frame.Option{
				{Value: "default", Cells: []string{"default", "what is good for the array at the other end"}},
				{Value: "service-time", Cells: []string{"service-time", "the one that answers soonest"}},
				{Value: "queue-length", Cells: []string{"queue-length", "the one with the fewest waiting"}},
				{Value: "round-robin", Cells: []string{"round-robin", "each in its turn"}},
			}},
		}
		f.Do = func() {
			why := "esos multipath disable"
			if on {
				why = "esos multipath enable"
				if policy != "default" {
					why += " --policy " + policy
				}
			}
			d.Change(frame.Change{Why: why, From: f, Edit: func(doc *config.Document) error {
				if !on {
					doc.Storage.Multipath = config.Multipath{}
					return nil
				}
				doc.Storage.Multipath.Enabled, doc.Storage.Multipath.Policy = true, strings.TrimPrefix(policy, "default")
				return nil
			}})
		}
		d.Form(f)
	})
}
