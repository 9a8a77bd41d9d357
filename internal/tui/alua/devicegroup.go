package alua

import (
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// noGroup is said where a device group is needed.
const noGroup = "There is no device group yet. ALUA, Add Device Group makes one."

// groups are the device groups to choose from.
func groups(doc *config.Document) []frame.Option {
	var o []frame.Option
	for _, g := range doc.DeviceGroups {
		o = append(o, frame.Option{Value: g.Name, Cells: []string{g.Name, pick.Count(len(g.TargetGroups), "target group"), strings.Join(g.Devices, ", ")}})
	}
	return o
}

func groupColumns() []string { return []string{"device group", "target groups", "devices"} }

// free are the devices to choose from: each is in one device group at most.
func free(doc *config.Document) []frame.Option {
	o := pick.Devices(doc)
	for i := range o {
		for _, g := range doc.DeviceGroups {
			if slices.Contains(g.Devices, o[i].Value) {
				o[i].Why = "it is in device group " + g.Name + " already; a device is in one only"
			}
		}
	}
	return o
}

func addDeviceGroup(d *frame.Desk) {
	pick.WithServing(d, func(s pick.Serving) {
		var name string
		var devices []string
		f := &frame.Form{Title: "Add Device Group", Command: "esos alua create DEVICE-GROUP", Submit: "Add",
			Help: "A device group ties devices to the target groups that lead to them.",
			Fields: []frame.Field{
				{Label: "Name", Text: &name, Check: frame.Name(64, pick.Taken(s.Doc.DeviceGroups, func(g config.DeviceGroup) string { return g.Name })),
					Hint: "Letters, digits and . _ -."},
				{Label: "Devices", Many: &devices, Options: free(s.Doc), Columns: pick.DeviceColumns(), Hint: "They can be added later, too."},
			}}
		f.Do = func() {
			args := []string{"alua", "create", name}
			if len(devices) > 0 {
				args = append(args, "--device", strings.Join(devices, ","))
			}
			d.Change(frame.Change{Why: pick.Command(args...), From: f,
				Edit: func(doc *config.Document) error {
					return doc.AddDeviceGroup(config.DeviceGroup{Name: name, Devices: devices})
				}})
		}
		d.Form(f)
	})
}

func removeDeviceGroup(d *frame.Desk) {
	pick.OneOf(d, frame.Picker{Title: "Remove Device Group", Columns: groupColumns(), Command: "esos alua delete DEVICE-GROUP",
		Intro: "Devices and targets stay; all paths to the devices are equally good then."}, noGroup,
		func(s pick.Serving) []frame.Option { return groups(s.Doc) },
		func(name string, _ pick.Serving) { takeDeviceGroup(d, name) })
}

func takeDeviceGroup(d *frame.Desk, name string) {
	d.Change(frame.Change{Why: pick.Command("alua", "delete", name), Edit: func(doc *config.Document) error { return doc.RemoveDeviceGroup(name) }})
}

// addDevice asks for devices of a group.
func addDevice(d *frame.Desk, group string) {
	pick.WithServing(d, func(s pick.Serving) {
		if len(s.Doc.DeviceGroups) == 0 {
			d.Say("Add Device to Group", noGroup)
			return
		}
		if group == "" && len(s.Doc.DeviceGroups) == 1 {
			group = s.Doc.DeviceGroups[0].Name
		}
		var devices []string
		f := &frame.Form{Title: "Add Device to Group", Command: "esos alua set DEVICE-GROUP --add DEVICE", Submit: "Add",
			Fields: []frame.Field{
				{Label: "Device group", One: &group, Options: groups(s.Doc), Columns: groupColumns(), Check: frame.Needed, Hint: "The states of its target groups go for the devices."},
				{Label: "Devices", Many: &devices, Options: free(s.Doc), Columns: pick.DeviceColumns(), Check: frame.Needed, Hint: "Space marks one, Enter is done."},
			}}
		f.Do = func() {
			d.Change(frame.Change{Why: pick.Command("alua", "set", group, "--add", strings.Join(devices, ",")), From: f, Edit: func(doc *config.Document) error {
				g, err := doc.FindDeviceGroup(group)
				if err != nil {
					return err
				}
				for _, name := range devices {
					if !slices.Contains(g.Devices, name) {
						g.Devices = append(g.Devices, name)
					}
				}
				return nil
			}})
		}
		d.Form(f)
	})
}

func removeDevice(d *frame.Desk) {
	pick.OneOf(d, frame.Picker{Title: "Remove Device from Group", Columns: []string{"device", "device group"}, Command: "esos alua set DEVICE-GROUP --remove DEVICE"},
		"There is no device in a device group.", func(s pick.Serving) []frame.Option {
			var o []frame.Option
			for _, g := range s.Doc.DeviceGroups {
				for _, name := range g.Devices {
					o = append(o, frame.Option{Value: pick.Value(g.Name, name), Cells: []string{name, g.Name}})
				}
			}
			return o
		}, func(value string, _ pick.Serving) {
			n := pick.Names(value)
			takeDevice(d, place{group: n[0], device: n[1]})
		})
}

func takeDevice(d *frame.Desk, p place) {
	d.Change(frame.Change{Why: pick.Command("alua", "set", p.group, "--remove", p.device), Edit: func(doc *config.Document) error {
		g, err := doc.FindDeviceGroup(p.group)
		if err != nil {
			return err
		}
		g.Devices = slices.DeleteFunc(g.Devices, func(name string) bool { return name == p.device })
		return nil
	}})
}
