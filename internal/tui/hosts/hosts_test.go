package hosts_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/hosts"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

const (
	mail  = "iqn.2026-11.com.example:mail"
	web   = "iqn.2026-11.com.example:web"
	alice = "iqn.2026-11.com.example:alice"
	bob   = "iqn.2026-11.com.example:bob"
)

const document = `version: 1
name: vault
devices:
  - {name: db01, handler: vdisk_nullio, size: 10GiB}
iscsi:
  portals: [{name: front, address: "192.0.2.10:3260"}]
targets:
  - name: ` + mail + `
    groups:
      - {name: hosts, initiators: [` + alice + `], luns: [{lun: 0, device: db01}]}
  - name: ` + web + `
`

func array(t *testing.T, text string) (*apitest.Array, *tuitest.Console) {
	t.Helper()
	a := apitest.New(t, apitest.Options{Document: text})
	since := time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC)
	busy := engine.Counters{Reads: 10, Writes: 20, ReadBytes: 5 << 30, WriteBytes: 7 << 20, ReadLatency: engine.Histogram{Sum: 10 * time.Millisecond}}
	a.Engine.SetSessions(
		engine.Session{ID: "s1", Target: mail, Group: "hosts", Initiator: alice, Address: "192.0.2.20:51000", LUNs: 1, Active: 3, Since: since, Counters: busy},
		engine.Session{ID: "s2", Target: mail, Initiator: bob, Address: "[2001:db8::21]:51001", Since: since},
	)
	return a, tuitest.New(t, tuitest.Options{Client: a.Client})
}

func initiators(t *testing.T, a *apitest.Array, target, group string) []string {
	t.Helper()
	g, err := a.Document().FindGroup(target, group)
	if err != nil {
		t.Fatal(err)
	}
	return g.Initiators
}

func TestGroups(t *testing.T) {
	t.Parallel()
	a, c := array(t, document)
	t.Run("menu", func(*testing.T) {
		c.In(func(d *frame.Desk) { d.Menu(hosts.Menu()) })
		c.Picture("menu")
	})
	t.Run("G1 add group", func(t *testing.T) {
		c.Entry(hosts.Menu(), "Add Group")
		c.Picture("add-group")
		c.Choose("mail")
		c.Type("hosts")
		c.Shows("hosts is there already")
		c.Field("cluster")
		c.Type(" ")
		c.Picture("connected")
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
		c.Picture("add-group-filled")
		c.Enter()
		c.Shows("esos group create")
		c.CarryOut()
		if got := initiators(t, a, mail, "cluster"); !slices.Equal(got, []string{"iqn.2026-11.com.example:b*"}) {
			t.Errorf("initiators %q", got)
		}
	})
	t.Run("G3 add initiator", func(t *testing.T) {
		c.Entry(hosts.Menu(), "Add Initiator")
		c.Picture("add-initiator")
		c.Choose("mail")
		c.Choose("hosts")
		c.Type(" ")
		c.Picture("used-by")
		c.Shows("used by 1 groups")
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
	})
	t.Run("list", func(*testing.T) {
		c.Entry(hosts.Menu(), "Host Groups")
		c.Picture("groups")
		c.Enter()
		c.Shows(bob + ": " + bob)
		c.Picture("group")
	})
	t.Run("G4 remove initiator", func(t *testing.T) {
		c.Entry(hosts.Menu(), "Remove Initiator")
		c.Picture("remove-initiator")
		c.Picked("eui.")
		c.CarryOut()
		if got := initiators(t, a, mail, "hosts"); !slices.Equal(got, []string{alice, bob}) {
			t.Errorf("initiators %q", got)
		}
	})
	t.Run("G2 remove group", func(t *testing.T) {
		before := a.Revisions()
		c.Entry(hosts.Menu(), "Remove Group")
		c.Picture("remove-group")
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
	})
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	_, c := array(t, "version: 1\nname: vault\n")
	for _, x := range [][2]string{{"Add Group", "There is no target yet"}, {"Remove Group", "There is no host group"}, {"Add Initiator", "There is no target yet"},
		{"Remove Initiator", "There is no initiator"}, {"Host Groups", "There is no host group yet"}, {"CHAP Accounts", "no target asks for a proof"}} {
		c.Entry(hosts.Menu(), x[0])
		c.Shows(x[1])
	}
	c.Picture("empty-accounts")
}

func TestSessions(t *testing.T) {
	t.Parallel()
	a, c := array(t, document)
	c.Entry(hosts.Menu(), "Sessions")
	c.Picture("sessions")
	c.Enter()
	c.Shows("5 GiB in 10 commands, 1ms each")
	c.Picture("session")
	c.Type("o")
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
}

func sessions(t *testing.T, a *apitest.Array) []engine.Session {
	t.Helper()
	all, err := a.Engine.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCHAP(t *testing.T) {
	t.Parallel()
	a, c := array(t, document)
	never := func(secret string) {
		t.Helper()
		if strings.Contains(c.Text(), secret) {
			t.Errorf("a secret is shown:\n%s", c.Text())
		}
	}
	auth := func() config.Auth {
		t.Helper()
		target, err := a.Document().FindTarget(mail)
		if err != nil {
			t.Fatal(err)
		}
		return target.Auth
	}
	c.Entry(hosts.Menu(), "CHAP Accounts")
	c.Type("m") // mutual before any account
	c.Choose("mail")
	c.Type("array1")
	c.Shows("add an initiator's account first")
	c.Escape()
	c.Type("a")
	c.Picture("add-account")
	c.Choose("mail")
	c.Field("host1")
	c.Type("short")
	c.Shows("12 to 255 characters")
	c.Field("correct horse battery")
	c.Type("correct horse")
	c.Shows("not the same as above")
	c.Field("correct horse battery")
	never("correct horse")
	c.Field(alice)
	c.Picture("account")
	c.Enter()
	c.Shows("esos auth add " + mail + " host1")
	never("correct horse")
	c.CarryOut()
	if got := auth(); len(got.Users) != 1 || string(got.Users[0].Secret) != "correct horse battery" || !slices.Equal(got.Users[0].Initiators, []string{alice}) {
		t.Errorf("accounts %d", len(got.Users))
	}
	c.Type("m")
	c.Press(tcell.KeyTab)
	c.Field("array1")
	c.Field("staple staple staple")
	c.Field("staple staple staple")
	c.Enter()
	c.Shows("esos auth mutual")
	c.CarryOut()
	if got := auth(); got.Mutual == nil || string(got.Mutual.Secret) != "staple staple staple" || string(got.Users[0].Secret) != "correct horse battery" {
		t.Error("mutual CHAP is not as it was typed, or the initiator's secret was lost")
	}
	c.Picture("accounts")
	c.Type("s") // a new secret
	c.Field("another secret 1")
	c.Field("another secret 1")
	c.Press(tcell.KeyTab, tcell.KeyEnter)
	c.CarryOut()
	if got := auth(); string(got.Users[0].Secret) != "another secret 1" {
		t.Error("the secret is not the new one")
	}
	c.Type("g")
	c.Mark("SHA256")
	c.Enter()
	c.CarryOut()
	if got := auth(); !slices.Equal(got.Algorithms, []string{"SHA256"}) {
		t.Errorf("algorithms %q", got.Algorithms)
	}
	c.Press(tcell.KeyDown)
	c.Type("d") // the mutual one
	c.CarryOut()
	c.Press(tcell.KeyUp)
	c.Type("d")
	c.CarryOut()
	if got := auth(); len(got.Users) != 0 || got.Mutual != nil {
		t.Errorf("left %d accounts", len(got.Users))
	}
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
}
