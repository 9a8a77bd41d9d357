package tui

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/test/mail"
)

// systemFunctions are the menu System.
func systemFunctions() []function {
	return []function{
		{"S1", "sync configuration", syncSettings},
		{"S2", "network settings", networkSettings},
		{"S2a", "general", networkGeneral},
		{"S2b", "interface", networkInterface},
		{"S2e", "plain NIC", networkPort},
		{"S2c", "bond", networkBond},
		{"S2d", "bridge", networkBridge},
		{"S3", "restart networking", restartNetwork},
		{"S4", "mail setup", setUpMail},
		{"S5", "send test email", testMail},
		{"S6", "add user", addUser},
		{"S8", "change password", changePassword},
		{"S7", "delete user", deleteUser},
		{"S9", "engine information", engineInformation},
		{"S10", "CRM status", crmStatus},
		{"S11", "DRBD status", drbdStatus},
		{"S12", "date and time", dateTime},
	}
}

func syncSettings(v *visit) {
	v.open("S1")
	v.Wait("Done.")
	v.machine("esos config generations | sed -n 2p", " esos sync ", "in force")
}

// card is what the appliance calls a card.
func (v *visit) card(mac string) string {
	return strings.TrimSpace(v.machine("grep -l " + mac + " /sys/class/net/*/address | cut -d/ -f5"))
}

// keep answers that a change of the network stays.
func (v *visit) keep() {
	v.t.Helper()
	v.Wait("Keep it?")
	v.yes()
	v.Wait("stays")
}

// end goes to the button of an interface's form, whose last field has that
// hint, presses it and carries the change out.
func (v *visit) end(last string) {
	v.t.Helper()
	for range 20 {
		if strings.Contains(v.Text(), last) {
			v.next(1)
			v.Enter()
			v.CarryOut()
			v.keep()
			return
		}
		v.next(1)
	}
	v.t.Fatalf("no field says %q:\n%s", last, v.Text())
}

// Hints of the last field of an interface's form.
const (
	ofPort  = "whichever card Linux calls"
	ofParts = "empty for one that is made of its ports"
)

// interfaceForm opens the settings of an interface.
func (v *visit) interfaceForm(id, mac string) string {
	v.t.Helper()
	name := v.card(mac)
	v.open(id)
	v.down("General", name)
	v.Enter()
	v.Wait("MAC " + mac)
	return name
}

func networkSettings(v *visit) {
	v.open("S2")
	v.Wait("10.0.2.15/24")
	v.Shows(v.card(cardA))
	v.Shows(v.card(cardB))
}

func networkGeneral(v *visit) {
	v.open("S2a")
	v.Wait("10.0.2.15/24")
	v.Type("e")
	v.Wait("Host name")
	v.Field("vault")
	v.Field("example.com")
	v.submit()
	v.CarryOut()
	v.machine("hostname; hostname -f", "vault\n", "vault.example.com")
}

func networkInterface(v *visit) {
	name := v.interfaceForm("S2b", cardA)
	v.Choose("static")
	v.Field("192.0.2.10/24")
	v.Field("")
	v.Choose("static")
	v.Field("2001:db8::10/64")
	v.end(ofPort)
	v.machine("ip address show dev "+name, "192.0.2.10/24", "2001:db8::10/64")
}

// networkPort has a card take smaller frames, and the usual ones again.
func networkPort(v *visit) {
	for _, mtu := range [][2]string{{"1400", "1400"}, {"", "1500"}} {
		name := v.interfaceForm("S2e", cardB)
		v.Press(tcell.KeyBacktab, tcell.KeyBacktab, tcell.KeyBacktab, tcell.KeyBacktab)
		v.Field(mtu[0])
		v.end(ofPort)
		v.machine("cat /sys/class/net/"+name+"/mtu", mtu[1])
	}
}

func networkBond(v *visit) {
	one, other := v.card(cardA), v.card(cardB)
	v.open("S2c")
	v.Wait(other)
	v.Type("a")
	v.Enter()
	v.Wait("Add Bond")
	v.Mark(one, other)
	v.next(3)
	v.Field("bond1")
	v.Choose("static")
	v.Field("192.0.2.20/24")
	v.end(ofParts)
	v.machine("cat /proc/net/bonding/bond1", "active-backup", "Slave Interface: "+one, "Slave Interface: "+other)
	v.machine("ip address show dev bond1", "192.0.2.20/24")
	v.lacks("ip address show dev "+one, "192.0.2.10/24")
}

func networkBridge(v *visit) {
	v.open("S2d")
	v.Wait("bond1")
	v.Type("a")
	v.Press(tcell.KeyRight, tcell.KeyRight, tcell.KeyEnter)
	v.Wait("Add Bridge")
	v.Mark("bond1")
	v.next(1)
	v.Field("br0")
	v.Choose("static")
	v.Field("192.0.2.30/24")
	v.end(ofParts)
	v.machine("ls /sys/class/net/br0/brif; ip address show dev br0", "bond1", "192.0.2.30/24")
}

// restartNetwork refuses first, and then does it: what the document says of the
// network is there again.
func restartNetwork(v *visit) {
	v.machine("ip address add 198.51.100.1/24 dev br0")
	v.open("S3")
	v.Enter() // the safe answer has the cursor
	v.machine("ip address show dev br0", "198.51.100.1/24")
	v.open("S3")
	v.yes()
	v.Wait("are set up anew")
	v.a.Until(v.ctx, "ip address show dev br0", "192.0.2.30/24")
	v.a.Until(v.ctx, "ip address show dev br0 | grep -F 198.51.100.1/24 || echo gone", "gone")
}

func setUpMail(v *visit) {
	v.open("S4")
	v.Wait("Mail Setup")
	v.next(1)
	v.Field("ann@example.com")
	v.Field(mail.GuestAddress)
	v.Choose("none")
	v.Field(fmt.Sprint(v.mails.Port()))
	v.next(1)
	v.Field("array@example.com")
	v.submit()
	v.CarryOut()
	v.Wait("Send a test mail?")
	v.Press(tcell.KeyRight, tcell.KeyEnter)
	v.machine("esos mail show", "ann@example.com", mail.GuestAddress)
}

func testMail(v *visit) {
	v.open("S5")
	v.Wait("By " + mail.GuestAddress)
	v.Field("bob@example.com")
	v.Enter()
	v.Wait("The mail is sent")
	ctx, cancel := context.WithTimeout(v.ctx, time.Minute)
	defer cancel()
	if _, err := v.mails.Wait(ctx, func(m mail.Mail) bool { return len(m.To) == 1 && m.To[0] == "bob@example.com" }); err != nil {
		v.t.Error(err)
	}
}

const (
	bobs     = "correct horse"
	bobsNext = "battery staple"
)

// logsIn says whether somebody gets in over SSH by a password, and may ask how
// the array is.
func (v *visit) logsIn(user, with string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	if said, err := asPerson(ctx, v.a, user, with, "esos status"); err != nil {
		v.t.Errorf("%s asks for the status: %v\n%s", user, err, said)
	}
}

func addUser(v *visit) {
	v.open("S6")
	v.Wait("Add User")
	v.Field("bob")
	v.Choose("operator")
	v.Field("Bob Example")
	v.Field(bobs)
	v.Field(bobs)
	v.next(1)
	v.Enter()
	v.CarryOut()
	v.machine("getent passwd bob; id bob", "Bob Example")
	v.logsIn("bob", bobs)
}

func changePassword(v *visit) {
	v.open("S8")
	v.Picked("bob")
	v.Wait("New password again")
	v.next(1)
	v.Field(bobsNext)
	v.Field(bobsNext)
	v.Enter()
	v.CarryOut()
	v.logsIn("bob", bobsNext)
}

func deleteUser(v *visit) {
	v.open("S7")
	v.Picked("bob")
	v.Choose("deleted")
	v.Enter()
	v.Destroy("user/bob")
	v.machine("getent passwd bob || echo nobody of that name", "nobody of that name")
	v.machine("ls /home", "")
	v.lacks("ls /home", "bob")
}

func engineInformation(v *visit) {
	v.open("S9")
	v.Wait("Up since")
	v.Shows("native")
}

func crmStatus(v *visit) {
	v.open("S10")
	v.Wait("No cluster is configured on this array")
}

func drbdStatus(v *visit) {
	v.open("S11")
	v.Wait("No DRBD resource is configured on this array")
}

// dateTime is the last: the clock goes far ahead.
func dateTime(v *visit) {
	v.open("S12")
	v.Wait("Date/Time Settings")
	v.Choose("berl")
	v.Choose("hand")
	v.Field("2031-07-05")
	v.Field("08:15:30")
	v.Enter()
	v.CarryOut()
	v.Wait("Set the clock?")
	v.yes()
	v.Wait("the clock is set")
	v.machine("date '+%F %Z'; readlink /etc/localtime", "2031-07-05 CEST", "Europe/Berlin")
	v.machine("timedatectl show -p NTP", "NTP=no")
}
