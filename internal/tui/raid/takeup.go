package raid

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

func takeUpOne(d *frame.Desk) {
	choose(d, "Take up which array?", func(x array) string {
		if x.Declared() {
			return "it is declared already"
		}
		return ""
	}, takeUp)
}

// takeUp asks by what name an array that exists is to be declared.
func takeUp(d *frame.Desk, x array) {
	if x.Declared() {
		d.Say("It is declared", "Array "+x.Name+" is ESOS's already.")
		return
	}
	found := *x.Now
	var taken []string
	for _, a := range x.of.doc.Storage.Arrays {
		taken = append(taken, a.Name)
	}
	will, shown := x.found()
	name := found.Name
	f := &frame.Form{Title: "Take Up " + x.called(), Command: "esos array create ARRAY DISK... --level " + found.Level + " --uuid " + found.UUID,
		Intro: "RAID " + found.Level + " on " + strings.Join(shown, ", ") + ". It is declared with what it holds, and started at each boot from then on.",
		Help:  "An array that disks are part of already, made by earlier ESOS or on another machine. Nothing on it is changed."}
	f.Fields = []frame.Field{{Label: "Name", Text: &name, Check: frame.Name(31, taken), Hint: "Its path is /dev/md/NAME."}}
	k := x.others()
	for _, id := range shown {
		k.Refuse(id, "it is a disk of this array, and stays one")
	}
	var instead []string
	if missing := found.Disks - len(will.Disks); missing > 0 {
		f.Fields = append(f.Fields,
			frame.Field{Note: fmt.Sprintf("Disks that it lacks: %d. Plug them in first if you can; otherwise name others in their place, which are filled.", missing)},
			frame.Field{Label: "In their place", Many: &instead, Options: k.Options, Columns: pick.BlockColumns(), Hint: "What they hold is lost: the plan says what, and asks for their names.",
				Check: func(string) error {
					if len(instead) != missing {
						return fmt.Errorf("%d disks are missing, %d are named in their place", missing, len(instead))
					}
					return nil
				}})
	}
	f.Do = func() {
		a := will
		a.Name, a.Disks = name, slices.Concat(will.Disks, k.Paths(instead...))
		d.Change(frame.Change{Why: "esos array create " + name + " ... --level " + found.Level + " --uuid " + found.UUID, From: f,
			Edit: func(doc *config.Document) error { return doc.AddArray(a) }})
	}
	d.Form(f)
}

// found is an array that exists as it is to be declared, and what its disks are
// called.
func (x array) found() (will config.Array, shown []string) {
	will = config.Array{Level: x.Now.Level, UUID: x.Now.UUID}
	members := slices.Clone(x.Now.Members)
	// Those that it went on without come last: another one may have their place.
	slices.SortStableFunc(members, func(a, b mdadm.Member) int {
		return cmp.Or(cmp.Compare(bit(a.Is(mdadm.Stale)), bit(b.Is(mdadm.Stale))), cmp.Compare(a.Role, b.Role))
	})
	places := map[int]bool{}
	for _, m := range members {
		id, path := m.Kernel, "/dev/"+m.Kernel
		for _, disk := range slices.Concat(x.of.now.Disks, x.of.now.Blocks) {
			if disk.Name == m.Kernel {
				id, path = disk.ID, pick.Path(disk)
			}
		}
		switch {
		case m.Is("journal"):
			will.Journal = path
		case m.Role < 0, places[m.Role]:
			will.Spares = append(will.Spares, path)
		default:
			places[m.Role] = true
			will.Disks = append(will.Disks, path)
		}
		shown = append(shown, id)
	}
	if x.Now.Running() && x.Now.Policy == "resync" {
		will.Bitmap = "none"
	}
	return will, shown
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
