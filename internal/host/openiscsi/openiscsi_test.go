package openiscsi

import (
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// tree is the kernel's files, by their paths without the leading /.
type tree fstest.MapFS

func (t tree) ReadFile(path string) ([]byte, error) {
	return fstest.MapFS(t).ReadFile(strings.TrimPrefix(path, "/"))
}

func (t tree) ReadDir(path string) ([]string, error) {
	list, err := fstest.MapFS(t).ReadDir(strings.TrimPrefix(path, "/"))
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names, err
}

func files(text map[string]string) tree {
	t := tree{}
	for path, s := range text {
		t[strings.TrimPrefix(path, "/")] = &fstest.MapFile{Data: []byte(s)}
	}
	return t
}

const session = "/sys/class/iscsi_session/session"

func TestSessions(t *testing.T) {
	m := files(map[string]string{
		session + "12/targetname": "iqn.2026-11.com.example:array2\n",
		session + "12/state":      "FAILED\n",
		session + "12/username":   "esos\n",
		"/sys/class/iscsi_connection/connection12:0/persistent_address": "fd00::5\n",
		"/sys/class/iscsi_connection/connection12:0/persistent_port":    "3260\n",
		session + "3/targetname": "iqn.2026-11.com.example:array2\n",
		session + "3/state":      "LOGGED_IN\n",
		session + "3/username":   "(null)\n",
		session + "3/device/target2:0:0/2:0:0:1/block/sdc/size":       "1\n",
		session + "3/device/target2:0:0/2:0:0:0/block/sdb/size":       "1\n",
		session + "3/device/target2:0:0/2:0:0:9/scsi_generic/sg3/dev": "21:3\n", // an enclosure: no disk
		session + "3/device/target2:0:0/power/control":                "auto\n",
		session + "3/device/connection3:0/uevent":                     "\n",
		session + "7/state": "FREE\n", // it is going
		"/sys/class/iscsi_connection/connection3:0/persistent_address": "10.0.0.5\n",
		"/sys/class/iscsi_connection/connection3:0/persistent_port":    "3260\n",
		session + "4/targetname": "iqn.2026-11.com.example:by-name\n",
		session + "4/state":      "LOGGED_IN\n",
		"/sys/class/iscsi_connection/connection4:0/persistent_address":     "array2.example.com\n",
		"/sys/class/iscsi_connection/connection4:0/persistent_port":        "3260\n",
		"/sys/class/iscsi_session/another/targetname":                      "x\n",
		session + "4/device/target5:0:0/5:0:0:0/block_not_yet/dummy":       "\n",
		session + "4/device/iscsi_session/session4/power/control":          "auto\n",
		session + "4/device/target5:0:0/subsystem_is_no_unit/uevent":       "\n",
		session + "4/device/target5:0:0/5:0:0:1/block/sdd/device/rescan":   "\n",
		session + "4/device/target5:0:0/5:0:0:1/block/sdd/queue/scheduler": "none\n",
	})
	got, err := Sessions(m)
	if err != nil {
		t.Fatal(err)
	}
	want := []Session{
		{ID: 3, Target: "iqn.2026-11.com.example:array2", Portal: netip.MustParseAddrPort("10.0.0.5:3260"), State: "LOGGED_IN", Disks: []string{"sdb", "sdc"}},
		{ID: 4, Target: "iqn.2026-11.com.example:by-name", State: "LOGGED_IN", Disks: []string{"sdd"}},
		{ID: 12, Target: "iqn.2026-11.com.example:array2", Portal: netip.MustParseAddrPort("[fd00::5]:3260"), State: "FAILED", User: "esos"},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got, err := Sessions(files(nil)); err != nil || got != nil {
		t.Errorf("without the module: %v, %v", got, err)
	}
}

func TestInitiatorName(t *testing.T) {
	for text, want := range map[string]string{
		"## a comment\nInitiatorName=iqn.2026-11.org.esos-project:host.1\n": "iqn.2026-11.org.esos-project:host.1",
		"GenerateName=yes\n": "",
		"InitiatorName=\n":   "",
		"":                   "",
	} {
		got, err := InitiatorName(files(map[string]string{InitiatorFile: text}))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := InitiatorName(files(nil)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestRecord holds the record's text to what iscsiadm 2.1.11 reads back (with
// --show) as it was meant.
func TestRecord(t *testing.T) {
	n := Node{Remote: "a", Target: "iqn.2026-11.com.example:array2", Portal: netip.MustParseAddrPort("[fd00::5]:3260")}
	if got, want := n.Path(), "/var/lib/iscsi/nodes/iqn.2026-11.com.example:array2/fd00::5,3260"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	with := n.WithCHAP("esos", `example-secret # " =`)
	want := `# Written by ESOS, for storage.remote a
node.name = iqn.2026-11.com.example:array2
node.startup = manual
node.discovery_type = static
iface.iscsi_ifacename = default
iface.transport_name = tcp
node.session.initial_login_retry_max = 1
node.session.nr_sessions = 1
node.session.scan = auto
node.session.reopen_max = 0
node.session.timeo.replacement_timeout = 120
node.session.auth.authmethod = CHAP
node.session.auth.username = esos
node.session.auth.password = example-secret # " =
node.conn[0].address = fd00::5
node.conn[0].port = 3260
node.conn[0].startup = manual
node.conn[0].timeo.login_timeout = 8
`
	if d := cmp.Diff(want, with.Record()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if Writer(with.Record()) != "a" || Writer("# BEGIN RECORD 2.1.11\n") != "" || Writer("") != "" {
		t.Error("whose record it is")
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{with.Record(), with.Record(), true}, {n.Record(), "", true}, {n.Record(), with.Record(), false},
		{with.Record(), n.WithCHAP("esos", "another-secret").Record(), false},
		{with.Record(), strings.Replace(with.Record(), "login_timeout = 8", "login_timeout = 15", 1), true},
	} {
		if SameCHAP(c.a, c.b) != c.same {
			t.Errorf("the same is not %v", c.same)
		}
	}
	if strings.Contains(with.String(), "secret") {
		t.Error("the secret is in what people see")
	}
}

func TestForgetKeepsOthersFiles(t *testing.T) {
	if err := Forget(nil, "/etc/passwd"); err == nil {
		t.Error("it removes what is no record")
	}
}

func FuzzWriter(f *testing.F) {
	f.Add("# Written by ESOS, for storage.remote a\nnode.session.auth.username = u\n")
	f.Add("node.session.auth.password = x")
	f.Fuzz(func(t *testing.T, text string) {
		if !SameCHAP(text, text) || Writer(text) != "" && !strings.HasPrefix(text, "# Written by ESOS") {
			t.Errorf("%q", text)
		}
	})
}
