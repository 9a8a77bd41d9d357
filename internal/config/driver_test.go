package config

import (
	"reflect"
	"testing"
)

func TestSpelling(t *testing.T) {
	const gid, id = "fe80:0000:0000:0000:0002:c903:0005:f34b", "0xfe800000000000000002c9030005f34b"
	const port = "50:01:43:80:24:26:bb:b4"
	for _, test := range []struct {
		driver                  Driver
		name, target, initiator string
	}{
		{DriverSRP, gid, gid, id},
		{DriverSRP, id, gid, id},
		{DriverSRP, "0XFE800000000000000002C9030005F34B", gid, id},
		{DriverSRP, "fe800000000000000002c9030005f34b", gid, id},
		{DriverSRP, "fe80::2:c903:5:f34b", gid, id},
		{DriverSRP, "fe80::2:c903:5:f34b%eth0", "fe80::2:c903:5:f34b%eth0", "fe80::2:c903:5:f34b%eth0"},
		{DriverSRP, "10.0.0.1", "10.0.0.1", "10.0.0.1"},
		{DriverSRP, "::10.0.0.1", "::10.0.0.1", "::10.0.0.1"},
		{DriverSRP, "0x*", "0x*", "0x*"},
		{DriverSRP, port, port, port},
		{DriverFC, port, port, port},
		{DriverFC, "0x500143802426BBB4", port, port},
		{DriverFC, "500143802426bbb4", port, port},
		{DriverFCoE, "50:01:43:80:24:26:BB:B4", port, port},
		{DriverFC, "50:01:43:80:24:26:bb:b", "50:01:43:80:24:26:bb:b", "50:01:43:80:24:26:bb:b"},
		{DriverFC, "5:001:43:80:24:26:bb:b4", "5:001:43:80:24:26:bb:b4", "5:001:43:80:24:26:bb:b4"},
		{DriverFC, "5001438024:26:bb:b4:00:", "5001438024:26:bb:b4:00:", "5001438024:26:bb:b4:00:"},
		{DriverFC, "", "", ""},
		{DriverISCSI, "IQN.2026-11.com.example:A", "IQN.2026-11.com.example:A", "IQN.2026-11.com.example:A"},
		{DriverLocal, "naa.5001405b2a1c3d4e", "naa.5001405b2a1c3d4e", "naa.5001405b2a1c3d4e"},
	} {
		if got := test.driver.TargetName(test.name); got != test.target {
			t.Errorf("%s target %q is written %q, want %q", test.driver, test.name, got, test.target)
		}
		if got := test.driver.InitiatorName(test.name); got != test.initiator {
			t.Errorf("%s initiator %q is written %q, want %q", test.driver, test.name, got, test.initiator)
		}
	}
}

func TestHCIL(t *testing.T) {
	for text, want := range map[string]bool{
		"0:0:0:0": true, "12:3:127:16640": true, "2:0:1:18446744073709551615": true,
		"": false, "1:2:3": false, "1:2:3:4:5": false, "01:0:0:0": false, "a:0:0:0": false, "-1:0:0:0": false,
		"2147483648:0:0:0": false, "1:0:0:18446744073709551616": false, "+1:0:0:0": false,
	} {
		a, ok := ParseHCIL(text)
		if ok != want || ok && a.String() != text {
			t.Errorf("%q: %v %v", text, a, ok)
		}
	}
}

// What is not the document's to say is not completed.
func TestCompleteLeavesPassThrough(t *testing.T) {
	const text = `version: 1
name: a
devices: [{name: lto, handler: dev_tape, path: "3:0:0:0"}]
targets: [{name: 50:01:43:80:24:26:bb:b4, driver: qla2x00t, groups: [{name: g, initiators: [21:00:00:e0:8b:05:be:ad], luns: [{lun: 0, device: lto}]}]}]
`
	doc, warnings, err := Parse("text", []byte(text))
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if err := Complete(doc, &Document{Devices: []Device{{Name: "lto", Handler: FileIO, Path: "a.img", Identity: Identity{Serial: "1"}}}}); err != nil {
		t.Fatal(err)
	}
	if want := (Device{Name: "lto", Handler: PassTape, Path: "3:0:0:0"}); !reflect.DeepEqual(doc.Devices[0], want) || !reflect.DeepEqual(want.WithDefaults(), want) {
		t.Errorf("completed to %+v", doc.Devices[0])
	}
	if ids := doc.Targets[0].RelativeIDs; len(ids) != 1 || ids[LoneTag] != 1 {
		t.Errorf("relative ids %v, want 1 under tag 1", ids)
	}
	if problems := doc.Validate(); len(problems) > 0 {
		t.Error(problems)
	}
}
