package hosts_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/hosts"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

const (
	mail  = "iqn.2026-11.com.example:mail"
	web   = "iqn.2026-11.com.example:web"
	alice = "iqn.2026-11.com.example:alice"
	bob   = "iqn.2026-11.com.example:bob"
	// stranger is in no group.
	stranger = "iqn.2026-11.com.example:mallory"
)

const document = `version: 1
name: vault
devices:
  - {name: db01, handler: vdisk_nullio, size: 10GiB}
  - {name: db02, handler: vdisk_nullio, size: 20GiB}
iscsi:
  portals: [{name: front, address: "192.0.2.10:3260"}]
targets:
  - name: ` + mail + `
    groups:
      - {name: hosts, initiators: [` + alice + `], luns: [{lun: 0, device: db01}]}
    luns: [{lun: 9, device: db02}]
  - name: ` + web + `
`

func TestMain(m *testing.M) { os.Exit(apitest.Main(m)) }

// begin has alice and bob log in to mail.
func begin(t *testing.T, a *apitest.Array) {
	t.Helper()
	if a.Native() {
		a.Stay(t, "front", mail, alice)
		a.Stay(t, "front", mail, bob)
		return
	}
	since := time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC)
	busy := engine.Counters{Reads: 10, Writes: 20, ReadBytes: 5 << 30, WriteBytes: 7 << 20, ReadLatency: engine.Histogram{Sum: 10 * time.Millisecond}}
	a.Engine.SetSessions(
		engine.Session{ID: "s1", Target: mail, Group: "hosts", Initiator: alice, Address: "192.0.2.20:51000", LUNs: 1, Active: 3, Since: since, Counters: busy},
		engine.Session{ID: "s2", Target: mail, Initiator: bob, Address: "[2001:db8::21]:51001", LUNs: 1, Since: since},
	)
}

func initiators(t *testing.T, a *apitest.Array, target, group string) []string {
	t.Helper()
	g, err := a.Document().FindGroup(target, group)
	if err != nil {
		t.Fatal(err)
	}
	return g.Initiators
}

// group is that of mail by which an initiator is logged in at the end; "" if it
// is by none.
func group(t *testing.T, a *apitest.Array, name string) string {
	t.Helper()
	s, err := a.Login(t, "front", mail, name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, x := range slices.Backward(sessions(t, a)) {
		if x.Initiator == name {
			return x.Group
		}
	}
	t.Errorf("%s is not logged in", name)
	return ""
}

func TestGroups(t *testing.T) {
	t.Parallel()
	tuitest.Both(t, apitest.Options{Document: document}, begin, []tuitest.Step{
		{Name: "menu", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.In(func(d *frame.Desk) { d.Menu(hosts.Menu()) })
			c.Golden("menu")
		}},
		{Name: "G1 add group", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(hosts.Menu(), "Add Group")
			c.Golden("add-group")
			c.Type(" ")
			c.Golden("choose-target")
			c.Escape()
			c.Choose("mail")
			c.Type("hosts")
			c.Shows("hosts is there already")
			c.Field("cluster")
			c.Type(" ")
			c.Golden("connected")
			c.Type("alice")
			c.Shows("group hosts of this target has it already")
			c.Type(" ")
			c.Shows("It cannot be chosen")
			c.Escape()
			c.Escape() // nobody
			c.Press(tcell.KeyTab)
			c.Type(alice)
			c.Shows("is in group hosts already")
			c.Field("iqn.2026-11.com.example:b*")
			c.Shows("These match now: " + bob)
			c.Golden("add-group-filled")
			c.Enter()
			c.Shows("esos group create")
			c.CarryOut()
			if got := initiators(t, a, mail, "cluster"); !slices.Equal(got, []string{"iqn.2026-11.com.example:b*"}) {
				t.Errorf("initiators %q", got)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			if got := group(t, a, bob+"2"); got != "cluster" {
				t.Errorf("bob2 is in group %q", got)
			}
			a.Sees(t, "front", mail, bob+"2", nil) // the group has no LUNs
			a.Sees(t, "front", mail, alice, map[uint16]uint64{0: 10 << 30})
			a.Sees(t, "front", mail, stranger, map[uint16]uint64{9: 20 << 30})
		}},
		{Name: "G3 add initiator", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(hosts.Menu(), "Add Initiator")
			c.Golden("add-initiator")
			c.Choose("mail")
			c.Type(" ")
			c.Golden("choose-group")
			c.Escape()
			c.Choose("hosts")
			c.Type(" ")
			c.Golden("used-by")
			c.Shows("used by 1 group")
			c.Type("bob")
			c.Type(" ")
			c.Escape()
			c.Enter()
			c.Field("eui.0123456789abcdef, Odd")
			c.Shows("Beware: Odd must be in lower case")
			c.Press(tcell.KeyBacktab)
			c.Field("eui.0123456789abcdef")
			c.Enter()
			c.Shows("esos initiator add")
			c.CarryOut()
			if got := initiators(t, a, mail, "hosts"); !slices.Equal(got, []string{alice, bob, "eui.0123456789abcdef"}) {
				t.Errorf("initiators %q", got)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Sees(t, "front", mail, bob, map[uint16]uint64{0: 10 << 30})
			a.Sees(t, "front", mail, "eui.0123456789abcdef", map[uint16]uint64{0: 10 << 30})
			a.Sees(t, "front", mail, stranger, map[uint16]uint64{9: 20 << 30})
		}},
		{Name: "list", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(hosts.Menu(), "Host Groups")
			c.Golden("groups")
			c.Enter()
			c.Shows(bob + ": " + bob)
			c.Golden("group")
			c.Escape()
			c.Type("t")
			c.Wait("with the engines in the kernel only")
			c.Golden("no-attributes")
		}},
		{Name: "G4 remove initiator", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(hosts.Menu(), "Remove Initiator")
			c.Golden("remove-initiator")
			c.Picked("eui.")
			c.CarryOut()
			if got := initiators(t, a, mail, "hosts"); !slices.Equal(got, []string{alice, bob}) {
				t.Errorf("initiators %q", got)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Sees(t, "front", mail, bob, map[uint16]uint64{0: 10 << 30})
			a.Sees(t, "front", mail, "eui.0123456789abcdef", map[uint16]uint64{9: 20 << 30})
		}},
		{Name: "G2 remove group", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			before := a.Revisions()
			c.Entry(hosts.Menu(), "Remove Group")
			c.Golden("remove-group")
			c.Picked("cluster")
			c.Wait("Press c to carry this out")
			c.Escape()
			if a.Revisions() != before {
				t.Error("something was changed without a confirmation")
			}
			c.Entry(hosts.Menu(), "Remove Group")
			c.Picked("cluster")
			c.CarryOut()
			if _, err := a.Document().FindGroup(mail, "cluster"); err == nil {
				t.Error("the group is still there")
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			if got := group(t, a, bob+"2"); got != "" {
				t.Errorf("bob2 is in group %q", got)
			}
			a.Sees(t, "front", mail, alice, map[uint16]uint64{0: 10 << 30})
		}},
	})
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Document: "version: 1\nname: vault\n"})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	for _, x := range [][2]string{{"Add Group", "There is no target yet"}, {"Remove Group", "There is no host group"}, {"Add Initiator", "There is no target yet"},
		{"Remove Initiator", "There is no initiator"}, {"Host Groups", "There is no host group yet"}, {"CHAP Accounts", "no target asks for a proof"}} {
		c.Entry(hosts.Menu(), x[0])
		c.Shows(x[1])
	}
	c.Golden("empty-accounts")
}

// scst imitates an engine in the kernel.
type scst struct{ *enginetest.Memory }

// Name is that of the engine in the document.
func (scst) Name() string { return "scst" }

// TestAttributes: an engine in the kernel has attributes of groups.
func TestAttributes(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Engine: scst{&enginetest.Memory{}}, Document: strings.Replace(document, "name: vault\n", "name: vault\nengine: scst\n", 1)})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	c.Entry(hosts.Menu(), "Host Groups")
	c.Wait("alice")
	c.Type("t")
	c.Type("addr_method=FLAT")
	c.Golden("attributes")
	c.Press(tcell.KeyTab, tcell.KeyEnter)
	c.CarryOut()
	if g, err := a.Document().FindGroup(mail, "hosts"); err != nil || g.Attributes["addr_method"] != "FLAT" {
		t.Errorf("%+v %v", g, err)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	tuitest.Both(t, apitest.Options{Document: document}, begin, []tuitest.Step{{Name: "log out", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
		c.Entry(hosts.Menu(), "Sessions")
		c.Golden("sessions")
		c.Enter()
		if !a.Native() {
			c.Shows("5 GiB in 10 commands, 1ms each")
		}
		c.Golden("session")
		c.Type("o")
		c.Golden("log-out")
		c.Shows("It may log in again at once")
		c.Escape()
		if n := len(sessions(t, a)); n != 2 {
			t.Fatalf("%d sessions: one was logged out without a confirmation", n)
		}
		c.Type("o")
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		c.Wait("is logged out")
		if got := sessions(t, a); len(got) != 1 || got[0].Initiator != bob {
			t.Errorf("left: %+v", got)
		}
	}}})
}

func sessions(t *testing.T, a *apitest.Array) []engine.Session {
	t.Helper()
	all, err := a.Client.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCHAP(t *testing.T) {
	t.Parallel()
	never := func(t *testing.T, c *tuitest.Console, secret string) {
		t.Helper()
		if strings.Contains(c.Text(), secret) {
			t.Errorf("a secret is shown:\n%s", c.Text())
		}
	}
	auth := func(t *testing.T, a *apitest.Array) config.Auth {
		t.Helper()
		target, err := a.Document().FindTarget(mail)
		if err != nil {
			t.Fatal(err)
		}
		return target.Auth
	}
	tuitest.Both(t, apitest.Options{Document: document}, begin, []tuitest.Step{
		{Name: "add an account", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(hosts.Menu(), "CHAP Accounts")
			c.Type("m") // mutual before any account
			c.Golden("mutual-chap")
			c.Type(" ")
			c.Golden("choose-of")
			c.Escape()
			c.Choose("mail")
			c.Type("array1")
			c.Shows("add an initiator's account first")
			c.Escape()
			c.Type("a")
			c.Golden("add-account")
			c.Choose("mail")
			c.Field("host1")
			c.Type("short")
			c.Shows("12 to 255 characters")
			c.Field("correct horse battery")
			c.Type("correct horse")
			c.Shows("not the same as above")
			c.Field("correct horse battery")
			never(t, c, "correct horse")
			c.Field(alice)
			c.Golden("account")
			c.Enter()
			c.Shows("esos auth add " + mail + " host1")
			never(t, c, "correct horse")
			c.CarryOut()
			if got := auth(t, a); len(got.Users) != 1 || string(got.Users[0].Secret) != "correct horse battery" || !slices.Equal(got.Users[0].Initiators, []string{alice}) {
				t.Errorf("accounts %d", len(got.Users))
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Refuses(t, "front", mail, alice, apitest.AuthenticationFailure)
		}},
		{Name: "mutual", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Type("m")
			c.Press(tcell.KeyTab)
			c.Field("array1")
			c.Field("staple staple staple")
			c.Field("staple staple staple")
			c.Enter()
			c.Shows("esos auth mutual")
			c.CarryOut()
			if got := auth(t, a); got.Mutual == nil || string(got.Mutual.Secret) != "staple staple staple" || string(got.Users[0].Secret) != "correct horse battery" {
				t.Error("mutual CHAP is not as it was typed, or the initiator's secret was lost")
			}
			c.Golden("accounts")
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Refuses(t, "front", mail, alice, apitest.AuthenticationFailure)
		}},
		{Name: "another secret and algorithm", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Type("s") // a new secret
			c.Golden("new-secret-of")
			c.Field("another secret 1")
			c.Field("another secret 1")
			c.Press(tcell.KeyTab, tcell.KeyEnter)
			c.CarryOut()
			if got := auth(t, a); string(got.Users[0].Secret) != "another secret 1" {
				t.Error("the secret is not the new one")
			}
			c.Type("g")
			c.Golden("chap-algorithms-of")
			c.Type(" ")
			c.Golden("choose-algorithms")
			c.Escape()
			c.Mark("SHA256")
			c.Enter()
			c.CarryOut()
			if got := auth(t, a); !slices.Equal(got.Algorithms, []string{"SHA256"}) {
				t.Errorf("algorithms %q", got.Algorithms)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Refuses(t, "front", mail, alice, apitest.AuthenticationFailure)
		}},
		{Name: "remove the accounts", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Press(tcell.KeyDown)
			c.Type("d") // the mutual one
			c.CarryOut()
			c.Press(tcell.KeyUp)
			c.Type("d")
			c.CarryOut()
			if got := auth(t, a); len(got.Users) != 0 || got.Mutual != nil {
				t.Errorf("left %d accounts", len(got.Users))
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Sees(t, "front", mail, alice, map[uint16]uint64{0: 10 << 30})
		}},
		{Name: "history", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			revisions, err := a.Client.Revisions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range revisions {
				for _, secret := range []string{"correct horse", "staple", "another secret"} {
					if strings.Contains(r.Why, secret) {
						t.Errorf("a secret is in the history: %s", r.Why)
					}
				}
			}
		}}})
}
