package raid

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// grow asks for more disks for an array, and perhaps another level.
func grow(d *frame.Desk, x array) {
	if x.Level == "0" {
		d.Say("Not with RAID 0", "A RAID 0 does not grow: declare another array and move the data.")
		return
	}
	k := x.others()
	var more []string
	level := x.Level
	other := []frame.Option{{Value: x.Level, Cells: []string{"RAID " + x.Level, "as it is"}}}
	for _, o := range levels() {
		if x.Level == "1" && o.Value == "5" || x.Level == "5" && o.Value == "6" {
			other = append(other, frame.Option{Value: o.Value, Cells: o.Cells[:2]})
		}
	}
	f := &frame.Form{Title: "Grow " + x.Name, Command: "esos array add-disk " + x.Name + " DISK...",
		Intro: fmt.Sprintf("RAID %s of %d disks, %s. It stays in use; what it gains is there when the reshape is done, which takes hours with large disks. There is no way back to fewer disks.", x.Level, len(x.Disks), x.bytes()),
		Help:  "What stands on the array grows with a later change. A RAID 1 of two disks can become a RAID 5, a RAID 5 with a disk more a RAID 6."}
	f.Fields = []frame.Field{
		{Label: "More disks", Many: &more, Options: k.Options, Columns: pick.BlockColumns(), Hint: "Disks that hold data, too, from then on. Space marks one, Enter is done.",
			Check: func(string) error {
				if len(more) == 0 && level == x.Level {
					return fmt.Errorf("choose disks, or another level")
				}
				return nil
			}},
		{Label: "Level", One: &level, Options: other, Hint: "What it is to become.", Check: func(string) error {
			if x.Level == "5" && level == "6" && len(more) == 0 {
				return fmt.Errorf("RAID 6 needs a disk more than RAID 5 for its second parity")
			}
			return nil
		}},
		{Note: usable(x.Level, x.Layout, x.sizes())},
	}
	changed := func() {
		f.Fields[2].Note = usable(level, x.Layout, slices.Concat(x.sizes(), k.Sizes(more)))
	}
	f.Fields[0].Changed, f.Fields[1].Changed = changed, changed
	f.Do = func() {
		why := "esos array add-disk " + x.Name + " " + strings.Join(more, " ")
		if level != x.Level {
			why = strings.TrimSpace("esos array set " + x.Name + " --level " + level + " " + strings.Join(more, " "))
		}
		d.Change(frame.Change{Why: why, From: f, Edit: edit(x, func(a *config.Array) error {
			a.Disks, a.Level = append(a.Disks, k.Paths(more...)...), level
			return nil
		})})
	}
	d.Form(f)
}

// sizes are those of the disks that hold its data, as far as they are there.
func (x array) sizes() []int64 {
	var all []int64
	for _, m := range x.members() {
		if strings.HasPrefix(m.Place, "disk ") && m.there {
			all = append(all, m.Disk.Size)
		}
	}
	return all
}
