package scst

import (
	"slices"
	"strings"
	"testing"
)

// help is what SCST's iSCSI driver and a handler read (scst_tgtt_mgmt_show,
// scst_devt_mgmt_show).
const help = `Usage: echo "add_target target_name [parameters]" >mgmt
       echo "del_target target_name" >mgmt
       echo "add_attribute <attribute> <value>" >mgmt
       echo "clear" >mgmt

where parameters are one or more param_name=value pairs separated by ';'

The following parameters available: blocksize, filename
The following target driver attributes available: IncomingUser, OutgoingUser
The following target attributes available: IncomingUser, OutgoingUser, allowed_portal
`

func TestParseHelp(t *testing.T) {
	a := parseHelp(help)
	for _, c := range []struct {
		got  []string
		want string
	}{
		{a.verbs, "add_target del_target add_attribute clear"}, {a.parameters, "blocksize filename"},
		{a.driver, "IncomingUser OutgoingUser"}, {a.target, "IncomingUser OutgoingUser allowed_portal"},
	} {
		if got := strings.Join(c.got, " "); got != c.want {
			t.Errorf("read %q, want %q", got, c.want)
		}
	}
	if !a.does("del_target") || a.does("del") {
		t.Error("verbs")
	}
	text, err := a.request("n", []parameter{{"filename", "/x", ""}, {"o_direct", "0", "0"}, {"blocksize", "512", "512"}})
	if want := "add_device n filename=/x; blocksize=512"; err != nil || text != want {
		t.Errorf("request %q, %v; want %q", text, err, want)
	}
	if text, err := a.request("n", []parameter{{"o_direct", "1", "0"}, {"x", "1", "0"}}); err == nil {
		t.Errorf("request %q", text)
	}
	// One that is left out first leaves no separator behind.
	if text, err := a.request("n", []parameter{{"o_direct", "0", "0"}, {"blocksize", "512", "512"}, {"filename", "/x", ""}}); err != nil || text != "add_device n blocksize=512; filename=/x" {
		t.Errorf("request %q, %v", text, err)
	}
}

func FuzzParseHelp(f *testing.F) {
	f.Add(help)
	f.Add("echo \"\n available: ")
	f.Fuzz(func(t *testing.T, text string) {
		a := parseHelp(text)
		for _, list := range [][]string{a.parameters, a.driver, a.target} {
			if slices.ContainsFunc(list, func(s string) bool { return s == "" || strings.ContainsAny(s, ", \n") }) {
				t.Errorf("names %q of %q", list, text)
			}
		}
	})
}

func TestNumbered(t *testing.T) {
	for file, want := range map[string]bool{"IncomingUser": true, "IncomingUser1": true, "IncomingUser12": true, "IncomingUsers": false, "Incoming": false, "OutgoingUser": false} {
		if numbered(file, incoming) != want {
			t.Errorf("%s: %v", file, !want)
		}
	}
}

// TestWild goes through SCST's own comparison (wildcmp).
func TestWild(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"bl?h.*", "blah.jpg", true}, {"!bl?h.*", "blah.jpg", false}, {"*", "", true}, {"*", "x", true}, {"?", "", false}, {"", "", true}, {"", "x", false},
		{"IQN.A", "iqn.a", true}, {"iqn.*:x?", "iqn.2026:x1", true}, {"iqn.*:x?", "iqn.2026:x", false}, {"a*b*c", "aXbYbc", true}, {"a*b*c", "aXbY", false}, {"a**", "a", true},
		{"!x", "y", true}, {"!x", "x", false},
	} {
		if got := wild(c.pattern, c.name); got != c.want {
			t.Errorf("%q takes %q: %v", c.pattern, c.name, got)
		}
	}
}

func TestISID(t *testing.T) {
	for sid, want := range map[string]string{"": "", "x": "", "1": "010000000000", "10000023d0200": "00023d020000", "1a2b800123d0200ff": ""} {
		if got := isid(sid); got != want {
			t.Errorf("ISID of %q is %q, want %q", sid, got, want)
		}
	}
}
