package scstconf_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/carry/carrytest"
	"github.com/esos-project/esos/internal/carry/scstconf"
	"github.com/esos-project/esos/internal/config"
)

// TestErrorsHaveTheirPlace: what SCST would refuse is an error with file, line
// and column.
func TestErrorsHaveTheirPlace(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"HANDLER vdisk_fileio {\n", `f:1:1: the section HANDLER vdisk_fileio is not closed`},
		{"HANDLER vdisk_fileio {\n}\n}\n", `f:3:1: } closes nothing`},
		{"\n  {\n", `f:2:3: { has nothing before it`},
		{"HANDLER h {\n\tDEVICE d {\n\t\tfilename \"/a b\n\t}\n}\n", `f:3:12: the quote is not closed on this line`},
		{"HANDLER h {\n\tfilename \"/a#b\"\n}\n", `f:2:11: the quote is not closed on this line (a # begins a comment`},
		{"DEVICE d {\n}\n", `f:1:1: DEVICE stands in the file itself; it belongs into a HANDLER or a DEVICE_GROUP`},
		{"HANDLER h {\n LUN 0 d\n}\n", `f:2:2: LUN stands in a HANDLER`},
		{"HANDLER h x {\n}\n", `f:1:11: HANDLER has more than its name`},
		{"HANDLER {\n}\n", `f:1:1: HANDLER lacks its name`},
		{"SECTION x {\n}\n", `f:1:1: "SECTION" begins no section`},
		{"[HANDLER vdisk]\n", `f:1:1: "[HANDLER" is of the format before SCST 2.0`},
		{"setup_id many\n", `f:1:10: setup_id: "many" is no number of 32 bits`},
		{"HANDLER vdisk_fileio {\n DEVICE d {\n  filename /d\n  read_only yes\n }\n}\n", `f:4:13: read_only: "yes" is neither 0 nor 1`},
		{"HANDLER vdisk_fileio {\n DEVICE d {\n  filename /d\n  blocksize\n }\n}\n", `f:4:3: blocksize: "" is no number`},
		{"TARGET_DRIVER iscsi {\n TARGET iqn.2020-01.org.example:t {\n  LUN -1 d\n }\n}\n", `f:3:7: LUN: "-1" is no number from 0 to 16383`},
		{"TARGET_DRIVER iscsi {\n TARGET iqn.2020-01.org.example:t {\n  IncomingUser joe\n }\n}\n", `f:3:16: IncomingUser lacks its secret`},
		{"TARGET_DRIVER iscsi {\n TARGET iqn.2020-01.org.example:t {\n  IncomingUser \"joe (secret)\"\n }\n}\n", `f:3:16: IncomingUser joe: the secret reads (secret)`},
		{"TARGET_DRIVER iscsi {\n TARGET iqn.2020-01.org.example:t {\n  InitialR2T maybe\n }\n}\n", `f:3:14: InitialR2T: "maybe" is neither Yes nor No`},
		{"DEVICE_GROUP g {\n TARGET_GROUP t {\n  state best\n }\n}\n", `f:3:9: state: "best" is none of active`},
		{"DEVICE_GROUP g {\n TARGET_GROUP t {\n  group_id 70000\n }\n}\n", `f:3:12: group_id: "70000" is no number from 1 to 65535`},
		{"HANDLER h {\n\tDEVICE \xff\n}\n", `f:2:1: the line is no text in UTF-8`},
		{strings.Repeat("a {\n", 40), `f:17:3: the sections are nested too deeply`},
	} {
		_, err := scstconf.Format{}.Read("f", []byte(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		}
		var problems config.Problems
		if !errors.As(err, &problems) || problems[0].Line == 0 || problems[0].Column == 0 {
			t.Errorf("%q: the error has no place: %v", c.text, err)
		}
	}
}

const devices = "HANDLER vdisk_nullio {\n DEVICE d {\n  size 1048576\n }\n}\n"

// TestNothingComesOpen: what keeps people out and cannot be said closes the
// target.
func TestNothingComesOpen(t *testing.T) {
	for name, lines := range map[string]string{
		"short secret":       "IncomingUser \"joe short\"\nLUN 0 d",
		"portal by pattern":  "allowed_portal 10.1.1.*\nLUN 0 d",
		"every address":      "allowed_portal 0.0.0.0\nLUN 0 d",
		"excluded by portal": "GROUP g {\nINITIATOR *\nINITIATOR !iqn.2020-01.org.example:x\\#10.0.0.1\nLUN 0 d\n}",
		"excluded twice":     "GROUP g {\nINITIATOR !iqn.2020-01.org.example:x\nINITIATOR a*\n}\nGROUP h {\nINITIATOR *\nINITIATOR !iqn.2020-01.org.example:x\nLUN 0 d\n}",
		"falls to default":   "LUN 0 d\nGROUP g {\nINITIATOR iqn.2020-01.org.example:x\\#10.0.0.1\n}",
		"not enabled":        "enabled 0\nLUN 0 d",
	} {
		text := devices + "TARGET_DRIVER iscsi {\nenabled 1\nTARGET iqn.2020-01.org.example:t {\nenabled 1\n" + lines + "\n}\n}\n"
		i, err := scstconf.Format{}.Read("f", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !i.Document.Targets[0].Disabled {
			t.Errorf("%s: the target is open, left is %v", name, i.Left)
		}
	}
	open, err := scstconf.Format{}.Read("f", []byte(devices+"TARGET_DRIVER iscsi {\nenabled 1\nTARGET iqn.2020-01.org.example:t {\nenabled 1\nLUN 0 d\n}\n}\n"))
	if err != nil || open.Document.Targets[0].Disabled {
		t.Errorf("a target that is open is not carried so: %v", err)
	}
}

// TestSCSTsOwnIdentity: identifiers that the file does not say are those that
// SCST makes. A device vg1 of an SCST 3.2 has been seen with the serial number
// 509f7d73 and vendor SCST_BIO; setup_id stands above its 32 bits.
func TestSCSTsOwnIdentity(t *testing.T) {
	for setup, want := range map[string]config.Identity{
		"":                {Serial: "509f7d73", T10ID: "509f7d73-vg1", Vendor: "SCST_BIO", Product: "vg1"},
		"setup_id 0x12\n": {Serial: "12509f7d73", T10ID: "12509f7d73-vg1", Vendor: "SCST_BIO", Product: "vg1"},
	} {
		i, err := scstconf.Format{}.Read("f", []byte(setup+"HANDLER vdisk_blockio {\n DEVICE vg1 {\n filename /dev/drbd0\n }\n}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := i.Document.Devices[0].Identity; got != want {
			t.Errorf("%q: %+v, want %+v", setup, got, want)
		}
	}
}

// TestCommentEatsACharacter: as scstadmin's does, and it is told.
func TestCommentEatsACharacter(t *testing.T) {
	i, err := scstconf.Format{}.Read("f", []byte("HANDLER vdisk_nullio {\n DEVICE disk12# the first\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	told := slices.ContainsFunc(i.Left, func(l carry.Left) bool { return l.Line == 2 && l.Column == 14 && l.Missed })
	if i.Document.Devices[0].Name != "disk1" || !told {
		t.Errorf("device %s, left %v", i.Document.Devices[0].Name, i.Left)
	}
}

// TestWriteExamples writes documents of our own, and lists what scst.conf
// cannot say of them.
func TestWriteExamples(t *testing.T) {
	files, err := filepath.Glob("../../../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	for _, file := range files {
		doc, out, again := carrytest.Back(t, scstconf.Format{}, file)
		memory := 0 // and SCSI devices by a path, which SCST has no word for
		for _, d := range doc.Devices {
			if d.Handler == config.Memory || d.Handler.PassThrough() && strings.HasPrefix(d.Path, "/") {
				memory++
			}
		}
		if got, want := len(again.Devices), len(doc.Devices)-memory; got != want {
			t.Errorf("%s: %d devices come back, want %d; left %v", file, got, want, out.Left)
		}
		if got, want := len(again.Targets), len(doc.Targets); got != want {
			t.Errorf("%s: %d targets come back, want %d", file, got, want)
		}
		for i, target := range again.Targets {
			if target.Disabled != doc.Targets[i].Disabled || len(target.Groups) != len(doc.Targets[i].Groups) {
				t.Errorf("%s: target %s comes back as %+v", file, target.Name, target)
			}
		}
		if memory > 0 && len(out.Left) == 0 {
			t.Errorf("%s: devices are dropped and not told", file)
		}
	}
}

// TestWriteNothingOpen: users that SCST cannot have close the target.
func TestWriteNothingOpen(t *testing.T) {
	d := &config.Document{Version: 1, Name: "x", Targets: []config.Target{{Name: "iqn.2020-01.org.example:t",
		Auth: config.Auth{Users: []config.CHAPUser{{Name: "with blank", Secret: "long enough to be"}}}}}}
	out, err := scstconf.Format{}.Write(d, carry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out.Text), "\t\tenabled 0\n") || len(out.Left) != 2 {
		t.Errorf("left %v of\n%s", out.Left, out.Text)
	}
}
