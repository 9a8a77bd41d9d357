package wizards

import (
	"fmt"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/password"
	"github.com/esos-project/esos/internal/tui/tuitest"
	"github.com/esos-project/esos/test/mail"
)

const secret = "seldom heard words"

// settings goes through the steps of the first boot with something in each.
func settings(c *tuitest.Console, port int) {
	c.Wait("step 1 of 4")
	c.Press(tcell.KeyTab)
	c.Field(secret)
	c.Field(secret)
	c.Press(tcell.KeyTab) // no SSH keys
	next(c)

	c.Wait("step 2 of 4")
	toggle(c)
	choose(c, "eth1")
	c.Type(" ")
	c.Golden("choose-addresses")
	c.Escape()
	choose(c, "fixed")
	c.Field("192.0.2.10/24 2001:db8::10/64")
	c.Field("192.0.2.1")
	c.Field("2001:db8::1")
	c.Field("vault")
	c.Field("example.com")
	c.Field("192.0.2.53, 2001:db8::53")
	c.Field("")
	next(c)

	c.Wait("step 3 of 4")
	c.Press(tcell.KeyTab)
	c.Field("Europe/Berlin")
	c.Press(tcell.KeyTab)
	c.Field("ntp1.example.com 2001:db8::7b")
	next(c)

	c.Wait("step 4 of 4")
	c.Press(tcell.KeyTab)
	c.Field("ann@example.com bob@example.com")
	c.Field("127.0.0.1")
	c.Type(" ")
	c.Golden("choose-encryption")
	c.Escape()
	choose(c, "none")
	c.Field(fmt.Sprint(port))
	c.Field("array@example.com")
	c.Type(" ")
	c.Golden("choose-log-in")
	c.Escape()
	choose(c, "none")
}

func TestFirstBoot(t *testing.T) {
	t.Parallel()
	caught := mail.Catch(t)
	a := apitest.New(t, apitest.Options{Document: "version: 1\nname: vault\napi: {users: [{name: admin, role: admin}]}\n"})
	c := open(t, a, "F")
	before := a.Revisions()
	settings(c, caught.Port())
	next(c)
	c.Wait("password, network, time, mail")
	if a.Revisions() != before {
		t.Fatal("something was changed before it was confirmed")
	}
	carryOut(c)
	c.Wait("The network was changed. Keep it?")
	var seconds []string // it counts down
	for i := 50; i < 100; i++ {
		seconds = append(seconds, fmt.Sprintf(" %d s", i), " NN s")
	}
	c.Golden("firstboot-keep", seconds...)
	c.Press(tcell.KeyLeft, tcell.KeyEnter)
	c.Wait("stays")
	c.Wait("First boot: done")
	c.Golden("firstboot-done")
	if n := len(caught.Mails()); n != 0 {
		t.Errorf("%d mails before the network is known to work", n)
	}
	c.Type("t")
	c.Wait("has taken a test mail for ann@example.com")
	ctx, cancel := contextFor(t, 10*time.Second)
	defer cancel()
	if _, err := caught.Wait(ctx, mail.Says("test")); err != nil {
		t.Error(err)
	}

	doc := a.Document()
	admin, err := doc.FindUser("admin")
	if err != nil {
		t.Fatal(err)
	}
	if d, err := shacrypt.Decode(string(admin.Password)); err != nil || !d.Match(secret) || admin.Role != "admin" {
		t.Errorf("admin is %+v (%v)", admin, err)
	}
	if u := doc.API.Users; len(u) != 1 || u[0].Name != "admin" || u[0].Role != "admin" {
		t.Errorf("users of the API: %+v", u)
	} else if ok, err := password.Verify(string(u[0].Password), secret); !ok || err != nil {
		t.Errorf("the API's password is another one: %v", err)
	}
	want := config.Network{Hostname: "vault", Domain: "example.com", DNS: []string{"192.0.2.53", "2001:db8::53"},
		Interfaces: []config.Interface{{Name: "eth1", Addresses: []string{"192.0.2.10/24", "2001:db8::10/64"}, Gateway4: "192.0.2.1", Gateway6: "2001:db8::1"}}}
	if diff := cmp.Diff(want, doc.Network); diff != "" {
		t.Errorf("network (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(config.Clock{Timezone: "Europe/Berlin", NTP: []string{"ntp1.example.com", "2001:db8::7b"}}, doc.Clock); diff != "" {
		t.Errorf("clock (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(config.Mail{To: []string{"ann@example.com", "bob@example.com"}, From: "array@example.com", Server: "127.0.0.1", Port: caught.Port(), Security: "none"}, doc.Mail); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
}

// TestFirstBootSkips leaves out what is to be left out; a test mail that does
// not go is told, and all else is done.
func TestFirstBootSkips(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Document: seed})
	c := open(t, a, "F")
	toggle(c)
	next(c)
	c.Wait("step 2 of 4")
	c.Press(tcell.KeyTab)
	next(c)
	c.Wait("step 3 of 4")
	toggle(c)
	next(c)
	c.Wait("step 4 of 4")
	c.Press(tcell.KeyTab)
	c.Field("ann@example.com")
	c.Field("127.0.0.1")
	choose(c, "none")
	c.Field("9") // discard: nobody listens
	c.Press(tcell.KeyTab, tcell.KeyTab)
	next(c)
	carryOut(c)
	c.Wait("The test mail was not sent")
	c.Golden("firstboot-no-mail")
	c.Enter()
	c.Shows("Password   left as it is")
	c.Shows("Network    left as it is")
	doc := a.Document()
	if len(doc.Users)+len(doc.API.Users)+len(doc.Network.Interfaces) > 0 || doc.Clock.Declared() || doc.Mail.Server != "127.0.0.1" {
		t.Errorf("the document is %+v", doc)
	}
}

// TestFirstBootBack: Esc goes a step back, and what was typed is there; what
// cannot be is said at the field.
func TestFirstBootBack(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	c := open(t, a, "F")
	before := a.Revisions()
	c.Golden("firstboot-password")
	c.Press(tcell.KeyTab)
	c.Type("short")
	c.Shows("choose one of 10 to 1024")
	c.Field(secret)
	c.Field(secret + "x")
	c.Press(tcell.KeyTab)
	next(c)
	c.Shows("not the same as above")
	c.Field(secret)
	c.Press(tcell.KeyTab)
	next(c)
	c.Wait("step 2 of 4")
	c.Golden("firstboot-network-left")
	toggle(c)
	c.Type(" ")
	c.Golden("firstboot-ports")
	c.Type("eth0")
	c.Enter()
	choose(c, "fixed")
	c.Field("192.0.2.10")
	c.Golden("firstboot-network")
	c.Press(tcell.KeyUp)
	c.Shows("an address with its network's length")
	c.Field("192.0.2.10/24")
	c.Field("2001:db8::1")
	c.Press(tcell.KeyUp)
	c.Shows("an address such as 192.0.2.1")
	c.Field("192.0.2.1")
	for range 5 {
		c.Press(tcell.KeyTab)
	}
	next(c)
	c.Wait("step 3 of 4")
	c.Golden("firstboot-time")
	c.Press(tcell.KeyTab)
	c.Field("no zone")
	c.Press(tcell.KeyUp)
	c.Shows("is no name of a time zone")
	c.Escape()
	c.Wait("step 2 of 4")
	c.Shows("192.0.2.10/24")
	next(c)
	c.Wait("step 3 of 4")
	c.Shows("no zone")
	c.Press(tcell.KeyTab)
	c.Field("UTC")
	c.Press(tcell.KeyTab, tcell.KeyTab)
	next(c)
	c.Wait("step 4 of 4")
	c.Golden("firstboot-mail")
	for range 3 {
		c.Escape()
	}
	c.Wait("step 1 of 4")
	c.Escape()
	c.Gone("step 1")
	if a.Revisions() != before {
		t.Error("something was changed")
	}
}

// TestFirstBootNothing leaves all steps out.
func TestFirstBootNothing(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	c := open(t, a, "F")
	toggle(c)
	next(c)
	c.Wait("step 2 of 4")
	c.Press(tcell.KeyTab)
	next(c)
	c.Wait("step 3 of 4")
	toggle(c)
	next(c)
	c.Wait("step 4 of 4")
	toggle(c)
	next(c)
	c.Wait("Nothing to do")
	c.Golden("firstboot-nothing")
}

// TestFirstBootRefused: what the machine refuses is told after the last step,
// and the forms are still there.
func TestFirstBootRefused(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	c := open(t, a, "F")
	toggle(c)
	next(c)
	c.Wait("step 2 of 4")
	c.Press(tcell.KeyTab)
	next(c)
	c.Wait("step 3 of 4")
	c.Press(tcell.KeyTab)
	c.Field("Mars/Olympus")
	c.Press(tcell.KeyTab, tcell.KeyTab)
	next(c)
	c.Wait("step 4 of 4")
	toggle(c)
	next(c)
	c.Wait("This cannot be carried out")
	c.Golden("firstboot-refused")
	c.Enter()
	c.Shows("step 4 of 4")
	c.Escape()
	c.Shows("Mars/Olympus")
}
