package devices

import (
	"fmt"
	"regexp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// changeOne has a device chosen, and its settings changed.
func changeOne(d *frame.Desk) {
	oneOf(d, "Change Device", nil, func(name string) { change(d, name) })
}

// oneOf has one of the devices chosen; why says what speaks against one.
func oneOf(d *frame.Desk, title string, why func(*config.Document, config.Device) string, do func(name string)) {
	pick.OneOf(d, frame.Picker{Title: title, Columns: pick.DeviceColumns()}, "There is no device yet. Add Device makes one.", func(s pick.Serving) []frame.Option {
		o := pick.Devices(s.Doc)
		for i := range o {
			if why != nil {
				o[i].Why = why(s.Doc, s.Doc.Devices[i])
			}
		}
		return o
	}, func(name string, _ pick.Serving) { do(name) })
}

// change asks for other settings of a device.
func change(d *frame.Desk, name string) {
	pick.WithServing(d, func(s pick.Serving) {
		have, err := s.Doc.FindDevice(name)
		if err != nil {
			d.Fail("Change device "+name, err)
			return
		}
		want := *have
		attributes := pick.Attributes(have.Attributes)
		own := func() bool { return !have.Handler.PassThrough() }
		vdisk := func() bool { return own() && have.Handler != config.CDROM }
		f := &frame.Form{Title: "Change Device " + name, Command: "esos device set " + name, Submit: "Change",
			Intro: "Some settings change while initiators use the device; others make a new device of it, which the plan says.",
			Help:  "What initiators know a disk by must stay as it is while they use it: another serial or NAA is another disk for them.",
			Fields: []frame.Field{
				{Label: "Write-through", Yes: &want.WriteThrough, Show: vdisk, Hint: "Each write is on the disk before it is acknowledged: safe without a battery, slower."},
				{Label: "Around the page cache", Yes: &want.ODirect, Show: func() bool { return have.Handler == config.FileIO }, Hint: "O_DIRECT: no memory of this machine is used as cache."},
				{Label: "Read-only", Yes: &want.ReadOnly, Show: vdisk, Hint: "Nobody can write to it, through any LUN."},
				{Label: "Removable", Yes: &want.Removable, Show: vdisk, Hint: "Initiators are told of a removable medium."},
				{Label: "Rotational", Yes: &want.Rotational, Show: vdisk, Hint: "Initiators are told of a spinning disk, not of an SSD."},
			}}
		f.Fields = append(f.Fields, identityFields(&want.Identity, own)...)
		f.Fields = append(f.Fields, pick.AttributesField(s.Doc, &attributes))
		if !own() {
			f.Fields = append(f.Fields, frame.Field{Note: "A SCSI device that is passed on has its own settings and identity."})
		}
		f.Do = func() {
			d.Change(frame.Change{Why: pick.Command(append([]string{"device", "set", name}, differences(*have, want)...)...), From: f,
				Edit: func(doc *config.Document) error {
					v, err := doc.FindDevice(name)
					if err != nil {
						return err
					}
					v.WriteThrough, v.ODirect, v.ReadOnly, v.Removable, v.Rotational, v.Identity = want.WriteThrough, want.ODirect, want.ReadOnly, want.Removable, want.Rotational, want.Identity
					v.Attributes, err = pick.ParseAttributes(attributes)
					return err
				}})
		}
		d.Form(f)
	})
}

var naa = regexp.MustCompile(`^([235][0-9a-fA-F]{15}|6[0-9a-fA-F]{31})$`)

// identityFields are what initiators know a device by.
func identityFields(id *config.Identity, show func() bool) []frame.Field {
	text := func(label string, value *string, most int, hint string) frame.Field {
		return frame.Field{Label: label, Text: value, Show: show, Hint: hint, Check: func(s string) error {
			if len(s) > most {
				return fmt.Errorf("%d characters are too many; %d at most", len(s), most)
			}
			for _, r := range s {
				if r < 0x20 || r > 0x7e {
					return fmt.Errorf("printable ASCII characters only")
				}
			}
			return nil
		}}
	}
	n := text("NAA identifier", &id.NAA, 32, "16 hex digits that begin with 2, 3 or 5, or 32 that begin with 6. Made if nothing is typed.")
	n.Check = func(s string) error {
		if s != "" && !naa.MatchString(s) {
			return fmt.Errorf("16 hex digits that begin with 2, 3 or 5, or 32 that begin with 6")
		}
		return nil
	}
	return []frame.Field{
		text("Serial number", &id.Serial, 32, "Up to 32 characters. Made from the array's ID if nothing is typed."),
		n,
		text("T10 identifier", &id.T10ID, 96, "Vendor specific identifier of the T10 designator. Made if nothing is typed."),
		text("Vendor", &id.Vendor, 8, "Up to 8 characters; ESOS if nothing is typed."),
		text("Product", &id.Product, 16, "Up to 16 characters; the device's name if nothing is typed."),
		text("Revision", &id.Revision, 4, "Up to 4 characters; 1.0 if nothing is typed."),
	}
}

// settings are a device's settings as flags of the command.
func settings(v config.Device) []string { return differences(config.Device{}, v) }

// differences are the flags that change one device into another.
func differences(have, want config.Device) []string {
	var flags []string
	for _, x := range []struct {
		name      string
		old, made bool
	}{
		{"write-through", have.WriteThrough, want.WriteThrough}, {"o-direct", have.ODirect, want.ODirect}, {"read-only", have.ReadOnly, want.ReadOnly},
		{"removable", have.Removable, want.Removable}, {"rotational", have.Rotational, want.Rotational},
	} {
		switch {
		case x.old == x.made:
		case x.made:
			flags = append(flags, "--"+x.name)
		default:
			flags = append(flags, "--"+x.name+"=false")
		}
	}
	for _, x := range []struct{ name, old, made string }{
		{"serial", have.Identity.Serial, want.Identity.Serial}, {"naa", have.Identity.NAA, want.Identity.NAA}, {"t10-id", have.Identity.T10ID, want.Identity.T10ID},
		{"vendor", have.Identity.Vendor, want.Identity.Vendor}, {"product", have.Identity.Product, want.Identity.Product}, {"revision", have.Identity.Revision, want.Identity.Revision},
	} {
		if x.old != x.made {
			flags = append(flags, "--"+x.name, x.made)
		}
	}
	return flags
}
