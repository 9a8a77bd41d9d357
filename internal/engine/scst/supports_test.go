package scst

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
)

func equalState(a, b any) bool { return reflect.DeepEqual(a, b) }

// TestExamples: what SCST refuses of an example has its reason and an engine
// that can.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("examples: %q, %v", files, err)
	}
	served := 0
	for _, file := range files {
		d, _, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := config.Complete(d, nil); err != nil {
			t.Fatal(err)
		}
		errs := Supports(d)
		if len(errs) == 0 && len(d.Targets) > 0 {
			served++
		}
		for _, err := range errs {
			if !strings.Contains(err.Error(), "engine: ") {
				t.Errorf("%s: the refusal names no engine that can: %v", file, err)
			}
		}
		t.Logf("%s: %v", filepath.Base(file), errs)
	}
	if served < 5 { // the others use what SCST has not
		t.Errorf("only %d examples with targets are served by SCST", served)
	}
}

// fine is a document that SCST serves.
func fine(t *testing.T) *config.Document {
	t.Helper()
	d := &config.Document{
		Version: 1, Name: "a", ID: "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
		Devices: []config.Device{
			{Name: "d", Handler: config.FileIO, Size: 1 << 20}, {Name: "b", Handler: config.BlockIO, Path: "/dev/b", WriteThrough: true, ReadOnly: true},
			{Name: "n", Handler: config.NullIO, Size: 1 << 20, Removable: true}, {Name: "c", Handler: config.CDROM, Path: "a b.iso"},
			{Name: "t", Handler: config.PassTape, Path: "3:0:0:0"},
		},
		ISCSI: config.ISCSI{Portals: []config.Portal{{Name: "p", Address: ":3260"}, {Name: "q", Address: "192.0.2.1:3260"}}},
		Targets: []config.Target{
			{Name: "iqn.2026-11.org.example:named", Alias: "one, two", Redirect: "192.0.2.1:3260", Auth: config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: "twelve-bytes-and-more"}, {Name: "v", Secret: "twelve-bytes-and-more"}}},
				Groups: []config.Group{{Name: "g", Initiators: []string{alice, "iqn.*:x?"}, LUNs: []config.LUN{{LUN: 0, Device: "d"}}}, {Name: "h", Initiators: []string{"!" + bob}}}},
			{Name: "iqn.2026-11.org.example:all", LUNs: []config.LUN{{LUN: 0, Device: "b"}, {LUN: 1, Device: "n", ReadOnly: true}}},
		},
		DeviceGroups: []config.DeviceGroup{{Name: "dg", Devices: []string{"d"}, TargetGroups: []config.TargetGroup{{Name: "x", ID: 1}, {Name: "y", ID: 2, State: "standby"}}}},
	}
	if err := config.Complete(d, nil); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestSupportsSaysWhy goes through what SCST refuses.
func TestSupportsSaysWhy(t *testing.T) {
	if errs := Supports(fine(t)); errs != nil {
		t.Fatalf("what SCST can do is refused: %v", errs)
	}
	user := func(d *config.Document) *config.CHAPUser { return &d.Targets[0].Auth.Users[0] }
	for why, change := range map[string]func(d *config.Document){
		"no memory disks":             func(d *config.Document) { d.Devices[0].Handler = config.Memory },
		"no handler":                  func(d *config.Document) { d.Devices[0].Handler = "vdisk_none" },
		"path with a blank":           func(d *config.Document) { d.Devices[0].Path = "a b" },
		"path with a line break":      func(d *config.Document) { d.Devices[3].Path = "a\nb" },
		"vdisk_fileio only":           func(d *config.Document) { d.Devices[1].ODirect = true },
		"always report":               func(d *config.Document) { d.Devices[2].WriteThrough = true },
		"needs a size":                func(d *config.Document) { d.Devices[2].Size = 0 },
		"power of two":                func(d *config.Document) { d.Devices[0].BlockSize = 520 },
		"serial of 20":                func(d *config.Document) { d.Devices[0].Identity.Serial = strings.Repeat("s", 21) },
		"t10_id of 25":                func(d *config.Document) { d.Devices[0].Identity.T10ID = strings.Repeat("s", 26) },
		"in a t10_id":                 func(d *config.Document) { d.Devices[0].Identity.T10ID = "a b" },
		"line break in a product":     func(d *config.Document) { d.Devices[0].Identity.Product = "a\nb" },
		"leave announce out":          func(d *config.Document) { d.ISCSI.Portals[0].Announce = "192.0.2.1:3260" },
		"port picked":                 func(d *config.Document) { d.ISCSI.Portals[0].Address = "127.0.0.1:0" },
		"portal group 1":              func(d *config.Document) { d.ISCSI.Portals[0].Group = 2 },
		"one port for all":            func(d *config.Document) { d.ISCSI.Portals[1].Address = "127.0.0.1:3261" },
		"iser":                        func(d *config.Document) { d.ISCSI.Portals[1].ISER = true },
		"CHAP algorithm":              func(d *config.Document) { d.Targets[0].Auth.Algorithms = []string{"SHA256"} },
		"cut it off":                  func(d *config.Document) { user(d).Secret = "twelve bytes and more" },
		"less than 12":                func(d *config.Document) { user(d).Secret = "short" },
		"to initiators":               func(d *config.Document) { user(d).Initiators = []string{alice} },
		"\"v\" once":                  func(d *config.Document) { user(d).Name = "v" },
		"discovery: SCST":             func(d *config.Document) { d.ISCSI.Discovery.Algorithms = []string{"SHA256"} },
		"blanks around an alias":      func(d *config.Document) { d.Targets[0].Alias = " x" },
		"IP address only":             func(d *config.Document) { d.Targets[0].Redirect = "host.example:3260" },
		"cannot be disabled":          func(d *config.Document) { d.Targets[0].Driver, d.Targets[0].Disabled = config.DriverLocal, true },
		"one initiator, this machine": func(d *config.Document) { d.Targets[0].Driver = config.DriverLocal },
		"exception":                   func(d *config.Document) { d.Targets[0].Groups[1].Initiators = []string{"!" + bob, "!" + alice} },
		"turn \"iqn.!x\" around":      func(d *config.Document) { d.Targets[0].Groups[0].Initiators = []string{"iqn.!x"} },
		"group's name":                func(d *config.Document) { d.Targets[0].Groups[0].Name = "a b" },
		"have the same identifier 1":  func(d *config.Document) { d.DeviceGroups[0].TargetGroups[1].ID = 1 },
		"no access state":             func(d *config.Document) { d.DeviceGroups[0].TargetGroups[1].State = "asleep" },
		"itself in names": func(d *config.Document) {
			d.DeviceGroups[0].TargetGroups[1].Targets = []config.GroupTarget{{Name: "a#1", RelativeID: 5}}
		},
	} {
		d := fine(t)
		change(d)
		errs := Supports(d)
		if !slices.ContainsFunc(errs, func(err error) bool { return strings.Contains(err.Error(), why) }) {
			t.Errorf("no refusal says %q: %v", why, errs)
		}
	}
}
