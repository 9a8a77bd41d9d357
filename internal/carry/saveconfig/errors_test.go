package saveconfig_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/carry/carrytest"
	"github.com/esos-project/esos/internal/carry/saveconfig"
	"github.com/esos-project/esos/internal/config"
)

// TestErrorsHaveTheirPlace: what is wrong is told with file, line and column.
func TestErrorsHaveTheirPlace(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", `f:1:1: no JSON: unexpected end`},
		{"{\n \"targets\": [\n", `f:3:1: no JSON: unexpected end`},
		{"{\n \"targets\": [}\n", `f:2:14: no JSON: invalid character '}'`},
		{"{\"ä\": 1,\n \"ä\": 2}", `f:2:2: "ä" stands twice`},
		{"[]", `f:1:1: saveconfig.json holds one object, not a list`},
		{"{\"targets\": 7}", `f:1:13: targets of the file must be a list, not a number`},
		{"{\"targets\": [\n 7]}", `f:2:2: an item of targets of the file must be an object, not a number`},
		{"{\"storage_objects\": [\n {\"name\": \"d\", \"plugin\": \"fileio\", \"dev\": \"/d\",\n  \"size\": \"big\"}]}", `f:3:11: size of storage object fileio/d must be a whole number`},
		{"{\"storage_objects\": [\n {\"name\": \"d\", \"plugin\": \"fileio\", \"dev\": \"/d\",\n  \"write_back\": \"maybe\"}]}", `f:3:17: write_back of storage object fileio/d must be true or false`},
		{"{\"storage_objects\": [\n {\"plugin\": \"fileio\"}]}", `f:2:2: a storage object lacks its name`},
		{"{\"storage_objects\": [{\"name\": \"d\", \"plugin\": \"block\", \"dev\": \"/d\"},\n {\"name\": \"d\", \"plugin\": \"block\", \"dev\": \"/e\"}]}", `f:2:2: storage object block/d stands twice`},
		{"{\"targets\": [{\"fabric\": \"iscsi\", \"wwn\": \"iqn.2020-01.org.example:t\", \"tpgs\": [\n {\"portals\": [{\"ip_address\": \"here\"}]}]}]}", `f:2:15: portal here of tpg 1 of target iqn.2020-01.org.example:t: "here" and 3260 are no address`},
		{"{\"targets\": [{\"fabric\": \"iscsi\", \"wwn\": \"iqn.2020-01.org.example:t\", \"tpgs\": [{},\n {}]}]}", `f:2:2: tpg 1 of target iqn.2020-01.org.example:t stands twice`},
		{"{\"targets\": [{\"fabric\": \"iscsi\", \"wwn\": \"iqn.2020-01.org.example:t\", \"tpgs\": [{\"node_acls\": [\n {\"node_wwn\": \"a\", \"chap_password\": \"(secret)\"}]}]}]}", `f:2:2: chap_password of ACL a of tpg 1 of target iqn.2020-01.org.example:t reads (secret)`},
		{strings.Repeat("{\"a\":", 40) + "1" + strings.Repeat("}", 40), `f:1:161: the values are nested too deeply`},
	} {
		_, err := saveconfig.Format{}.Read("f", []byte(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		}
		var problems config.Problems
		if !errors.As(err, &problems) || problems[0].Line == 0 || problems[0].Column == 0 {
			t.Errorf("%q: the error has no place: %v", c.text, err)
		}
	}
}

// TestNothingComesOpen: what keeps people out and cannot be said closes the
// target.
func TestNothingComesOpen(t *testing.T) {
	const portals = `"portals": [{"ip_address": "192.0.2.1", "port": 3260}], `
	for name, c := range map[string]struct {
		tpg  string
		open bool
	}{
		"open":           {portals + `"node_acls": [{"node_wwn": "iqn.2020-01.org.example:h"}]`, true},
		"disabled":       {portals + `"enable": false`, false},
		"no portal":      {`"portals": []`, false},
		"short secret":   {portals + `"attributes": {"authentication": 1}, "node_acls": [{"node_wwn": "iqn.2020-01.org.example:h", "chap_userid": "u", "chap_password": "short"}]`, false},
		"nobody can":     {portals + `"attributes": {"authentication": 1}, "node_acls": [{"node_wwn": "iqn.2020-01.org.example:h"}]`, false},
		"one ACL's own":  {portals + `"node_acls": [{"node_wwn": "iqn.2020-01.org.example:h", "attributes": {"authentication": 1}, "chap_userid": "u", "chap_password": "short"}]`, false},
		"demo with CHAP": {portals + `"attributes": {"authentication": 1, "generate_node_acls": 1}, "luns": [{"index": 0, "storage_object": "/backstores/ramdisk/r"}]`, false},
	} {
		text := `{"storage_objects": [{"name": "r", "plugin": "ramdisk", "size": 1048576, "wwn": "x"}], "targets": [{"fabric": "iscsi", "wwn": "iqn.2020-01.org.example:t", "tpgs": [{` + c.tpg + `}]}]}`
		i, err := saveconfig.Format{}.Read("f", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := !i.Document.Targets[0].Disabled; got != c.open {
			t.Errorf("%s: open is %v, left %v", name, got, i.Left)
		}
	}
}

// TestWriteExamples writes documents of our own, and lists what the file cannot
// say of them.
func TestWriteExamples(t *testing.T) {
	files, err := filepath.Glob("../../../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	for _, file := range files {
		doc, out, again := carrytest.Back(t, saveconfig.Format{}, file)
		drives := 0 // and SCSI devices whose address does not say what they are
		for _, d := range doc.Devices {
			if d.Handler == config.CDROM || d.Handler.PassThrough() && !strings.HasPrefix(d.Path, "/") {
				drives++
			}
		}
		if got, want := len(again.Devices), len(doc.Devices)-drives; got != want {
			t.Errorf("%s: %d devices come back, want %d; left %v", file, got, want, out.Left)
		}
		if len(doc.Devices) > 0 && len(out.Left) == 0 {
			t.Errorf("%s: LIO makes other identifiers, and it is not told", file)
		}
	}
}

// TestWriteNothingOpen: who is kept out here is kept out there.
func TestWriteNothingOpen(t *testing.T) {
	device := config.Device{Name: "a", Handler: config.Memory, Size: 1 << 20}
	other := config.Device{Name: "b", Handler: config.Memory, Size: 1 << 20}
	luns := []config.LUN{{LUN: 0, Device: "a"}}
	for name, target := range map[string]config.Target{
		"a group by pattern": {LUNs: luns, Groups: []config.Group{{Name: "g", Initiators: []string{"iqn.x*"}}}},
		"a group's own LUN":  {LUNs: luns, Groups: []config.Group{{Name: "g", Initiators: []string{"iqn.x"}, LUNs: []config.LUN{{LUN: 0, Device: "b"}}}}},
	} {
		target.Name = "iqn.2020-01.org.example:t"
		d := &config.Document{Version: 1, Name: "x", Devices: []config.Device{device, other}, Targets: []config.Target{target}}
		out, err := saveconfig.Format{}.Write(d, carry.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(out.Text), `"generate_node_acls": 0`) {
			t.Errorf("%s: whoever comes sees LUNs that are not meant for all:\n%s", name, out.Text)
		}
	}
	d := &config.Document{Version: 1, Name: "x", Devices: []config.Device{device}, Targets: []config.Target{{Name: "iqn.2020-01.org.example:t",
		Groups: []config.Group{{Name: "g", Initiators: []string{"iqn.2020-01.org.example:out", "!*:out"}, LUNs: luns}}}}}
	out, err := saveconfig.Format{}.Write(d, carry.Options{})
	if err != nil || strings.Contains(string(out.Text), `"node_wwn"`) {
		t.Errorf("an initiator that is excluded has an ACL (%v):\n%s", err, out.Text)
	}
}
