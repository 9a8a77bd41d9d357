package raid

import (
	"context"
	"fmt"
	"slices"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

func sizeOf(bytes int64) string { return config.Size(bytes).Human() }

// others are the disks to choose from for an array; it stands on none of its own.
func (x array) others() *pick.Disks {
	k := pick.NewDisks(x.of.now)
	for _, b := range x.of.now.Blocks {
		if x.Now != nil && x.Now.Kernel != "" && (b.Name == x.Now.Kernel || slices.Contains(b.Below, x.Now.Kernel)) {
			k.Refuse(b.ID, "it is the array itself, or on it")
		}
	}
	return k
}

// look reads the arrays and hands them to then.
func look(d *frame.Desk, then func(state)) {
	frame.Load(d, "Look at the disks", func(ctx context.Context) (state, error) { return read(ctx, d) }, then)
}

// which asks for an array that is declared.
func which(d *frame.Desk, title string, then func(*frame.Desk, array)) {
	choose(d, title, func(x array) string {
		if !x.Declared() {
			return "it is not declared: Take Up a Foreign Array does that"
		}
		return ""
	}, then)
}

// choose asks for an array; why says why one cannot be chosen.
func choose(d *frame.Desk, title string, why func(array) string, then func(*frame.Desk, array)) {
	look(d, func(s state) {
		all := s.arrays()
		if len(all) == 0 {
			d.Say("No array", "There is no RAID array. Software RAID, Add Array makes disks into one.")
			return
		}
		p := &frame.Picker{Title: title, Columns: []string{"array", "level", "state", "size"}, Command: "esos array list"}
		for _, x := range all {
			p.Options = append(p.Options, frame.Option{Value: x.key(), Cells: []string{x.called(), "RAID " + x.Level, x.State(), x.bytes()}, Why: why(x)})
		}
		p.Do = func(chosen []string) {
			d.Close(p)
			for _, x := range all {
				if x.key() == chosen[0] {
					then(d, x)
					return
				}
			}
		}
		d.Pick(p)
	})
}

// whichDisk asks for a disk of an array.
func whichDisk(d *frame.Desk, x array, title string, why func(member) string, then func(member)) {
	all := x.members()
	p := &frame.Picker{Title: title, Columns: []string{"disk", "as", "state", "size"}, Command: "esos array show " + x.Name}
	for i, m := range all {
		p.Options = append(p.Options, frame.Option{Value: fmt.Sprint(i), Cells: []string{m.ID, m.Place, m.State, m.bytes()}, Why: why(m)})
	}
	p.Do = func(chosen []string) {
		d.Close(p)
		for i, m := range all {
			if fmt.Sprint(i) == chosen[0] {
				then(m)
				return
			}
		}
	}
	d.Pick(p)
}
