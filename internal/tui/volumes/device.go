package volumes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// aNewOne stands for a group that is to be made; no name begins with a +.
const aNewOne = "+"

// addDevice asks for devices and the group that they go to.
func addDevice(d *frame.Desk) { devices(d, "") }

// addGroup asks for the devices of a new group.
func addGroup(d *frame.Desk) { devices(d, aNewOne) }

// devices is the form for devices of a group, or of a new one.
func devices(d *frame.Desk, in string) {
	with(d, func(s state) {
		var chosen []string
		var name, extent, uuid string
		taken := []string{}
		for _, g := range s.doc.Storage.VolumeGroups {
			taken = append(taken, g.Name)
		}
		isNew := func() bool { return in == aNewOne }
		f := &frame.Form{Title: "Add VG", Command: "esos volume-group create", Submit: "Plan",
			Intro: "A volume group gathers disks, arrays or encrypted devices into one space that volumes are cut from.",
			Help: "What is on the devices is not overwritten, unless the plan asks to have them named and they are. A group that is there already is taken up " +
				"with what it holds if its UUID is given."}
		if !isNew() {
			f.Title, f.Command = "Add PV", "esos volume-group add-device"
			f.Intro = "A physical volume is a device of a volume group here: choose the group that the devices are for, or make a new one of them."
			f.Fields = append(f.Fields, frame.Field{Label: "Volume group", One: &in, Columns: groupColumns(), Check: frame.Needed,
				Options: append(s.declaredGroups(), frame.Option{Value: aNewOne, Cells: []string{"a new one"}}), Hint: "The group that gets the devices; its volumes can grow then."})
		}
		f.Fields = append(f.Fields,
			frame.Field{Label: "Name", Text: &name, Show: isNew, Check: groupName(taken), Hint: "Of the new group. Its volumes are at /dev/NAME/VOLUME."},
			frame.Field{Label: "Devices", Many: &chosen, Columns: pick.BlockColumns(), Options: blocks(s), Check: frame.Needed,
				Hint: "Disks, arrays, encrypted devices: redundancy is theirs (SW RAID), or that of RAID volumes on several."},
			frame.Field{Label: "Extent size", Text: &extent, Show: isNew, Check: extentSize, Hint: "What space is handed out in, a power of two. Nothing: 4 MiB, which is good for all."},
			frame.Field{Label: "UUID", Text: &uuid, Show: isNew, Hint: "Only to take up a group that is there already, with what it holds: LVM's UUID of it (VG List, details). Nothing: a new group."},
		)
		f.Do = func() {
			c := frame.Change{From: f, Why: fmt.Sprintf("esos volume-group add-device %s %s", in, strings.Join(chosen, " ")),
				Edit: func(doc *config.Document) error { return doc.AddVolumeDevices(in, chosen...) }}
			if isNew() {
				g := config.VolumeGroup{Name: name, Devices: chosen, UUID: strings.TrimSpace(uuid), ExtentSize: optional(extent)}
				c.Why = fmt.Sprintf("esos volume-group create %s %s", name, strings.Join(chosen, " "))
				c.Edit = func(doc *config.Document) error { return doc.AddVolumeGroup(g) }
			}
			d.Change(c)
		}
		d.Form(f)
	})
}

// groupName checks the name of a new group.
func groupName(taken []string) func(string) error {
	check := frame.Name(64, taken)
	return func(s string) error {
		if err := check(s); err != nil {
			return err
		}
		if slices.Contains([]string{"disk", "mapper", "md"}, s) {
			return fmt.Errorf("/dev/%s belongs to others; take another name", s)
		}
		return nil
	}
}

func extentSize(s string) error {
	if s == "" {
		return nil
	}
	n, err := config.ParseSize(s)
	if err != nil || n < 1<<10 || n > 16<<30 || n&(n-1) != 0 {
		return fmt.Errorf("a power of two from 1KiB to 16GiB, such as 4MiB")
	}
	return nil
}

// optional is a size that was checked, or none.
func optional(s string) config.Size {
	n, err := config.ParseSize(s)
	if err != nil {
		return 0
	}
	return n
}

// blocks are what a group can be made of: no volumes, since LVM does not look
// for groups on them.
func blocks(s state) []frame.Option {
	o := pick.Blocks(s.now)
	for i := range o {
		if o[i].Why == "" && o[i].Cells[2] == "lvm" {
			o[i].Why = "it is a volume itself: groups on volumes belong to the hosts that have them"
		}
	}
	return o
}

// removeDevice asks for devices that are taken out of a group.
func removeDevice(d *frame.Desk) { empty(d, "", false) }

// replaceDevice asks for a device and its successor.
func replaceDevice(d *frame.Desk) { empty(d, "", true) }

// empty is the form for devices that leave a group; with replace others take
// their place in the same change.
func empty(d *frame.Desk, in string, replace bool) {
	with(d, func(s state) {
		if len(s.doc.Storage.VolumeGroups) == 0 {
			d.Say("There are no volume groups", "A physical volume is a device of a volume group here, and there is no group. Add VG makes one.")
			return
		}
		var chosen, fresh []string
		f := &frame.Form{Title: "Remove PV", Command: "esos volume-group remove-device", Submit: "Plan",
			Intro: "What lies on the devices is moved to the others of the group while it is used (pvmove); then they are given back, blank.",
			Help:  "Without room on the other devices it is refused. A move that is cut off goes on with the next apply. Moving takes its time, and volumes are slower meanwhile."}
		if replace {
			f.Title = "Replace PV"
			f.Intro = "The new devices are added to the group, what lies on the old ones is moved while it is used (pvmove), and the old ones are given back, blank."
		}
		stay := func(path string) string {
			if len(s.find(in).devices()) == 1 && !replace {
				return "it is the only device of its group: delete the group (Remove VG), or add another device first"
			}
			for _, v := range s.find(in).volumes() {
				if v.Cache != nil && v.Cache.Device == path {
					return fmt.Sprintf("the cache of volume %s is on it; take that away first (LV Cache)", v.full())
				}
				if slices.Contains(v.Devices, path) && len(v.Devices) == 1 && !replace {
					return fmt.Sprintf("volume %s is declared to lie on it alone", v.full())
				}
			}
			return ""
		}
		f.Fields = []frame.Field{
			{Label: "Volume group", One: &in, Columns: groupColumns(), Options: s.declaredGroups(), Check: frame.Needed, Hint: "The group that the devices are in."},
			{Label: "Old devices", Many: &chosen, Columns: deviceColumns(), Options: s.find(in).deviceOptions(stay), Check: frame.Needed,
				Hint: "Those that are emptied and taken out. A device that is gone for good is taken out the same way."},
			{Label: "New devices", Many: &fresh, Columns: pick.BlockColumns(), Options: blocks(s), Show: func() bool { return replace }, Check: frame.Needed,
				Hint: "Those that take their place, with room for what lies on the old ones."},
		}
		f.Fields[0].Changed = func() {
			chosen = nil
			f.Fields[1].Options = s.find(in).deviceOptions(stay)
		}
		f.Do = func() {
			if !replace && len(chosen) == len(s.find(in).devices()) {
				d.Say("One has to stay", "These are all devices of volume group "+in+". Leave one, add another first, or delete the group (Remove VG).")
				return
			}
			d.Change(frame.Change{From: f, Why: fmt.Sprintf("esos volume-group remove-device %s %s", in, strings.Join(chosen, " ")), Edit: func(doc *config.Document) error {
				if replace {
					return doc.ReplaceVolumeDevices(in, chosen, fresh)
				}
				return doc.RemoveVolumeDevices(in, chosen...)
			}})
		}
		d.Form(f)
	})
}
