// Package system is the System menu: network, clock, mail, people and services
// of the machine, and who may use its API.
package system

import (
	"context"
	"io/fs"
	"os"

	"github.com/esos-project/esos/internal/tui/frame"
)

// Menu is its entries: first those that users know, in the order that they
// know.
func Menu() frame.Menu { return menu(os.DirFS("/usr/share/zoneinfo")) }

// menu is Menu with the time zones of a directory.
func menu(zones fs.FS) frame.Menu {
	return frame.Menu{Title: "System", Key: 's', Actions: []frame.Action{
		{Title: "Sync Configuration", Does: "Save the appliance's settings to the medium that it was booted from, now.",
			IDs: []string{"S1"}, Command: "esos sync", Do: syncNow},
		{Title: "Network Settings", Does: "Names, gateways and name servers; ports, bonds, VLANs and bridges, with their addresses.",
			IDs: []string{"T0.10", "S2", "S2a", "S2b", "S2c", "S2d", "S2e"}, Command: "esos network list", Do: networkSettings},
		{Title: "Restart Networking", Does: "Set every network interface up anew.",
			IDs: []string{"S3"}, Command: "esos network restart", Do: restartNetwork},
		{Title: "Mail Setup", Does: "Where the appliance sends its alerts.",
			IDs: []string{"S4"}, Command: "esos mail set", Do: func(d *frame.Desk) { withDocument(d, mailSetup) }},
		{Title: "Send Test Email", Does: "Send a test mail, and show what the mail server says.",
			IDs: []string{"S5"}, Command: "esos mail test", Do: func(d *frame.Desk) { withDocument(d, testMail) }},
		{Title: "Add User", Does: "A person who logs in at the console and over SSH.",
			IDs: []string{"S6"}, Command: "esos account create", Do: func(d *frame.Desk) { withDocument(d, addUser) }},
		{Title: "Delete User", Does: "Remove a person, and log them out.",
			IDs: []string{"S7"}, Command: "esos account delete", Do: func(d *frame.Desk) { chooseUser(d, "Delete User", notDeleted, deleteUser) }},
		{Title: "Change Password", Does: "Give a person who logs in a new password.",
			IDs: []string{"S8"}, Command: "esos account password", Do: func(d *frame.Desk) { chooseUser(d, "Change Password", noPerson, changePassword) }},
		{Title: "Date/Time Settings", Does: "Time zone, time servers, and the clock itself.",
			IDs: []string{"S12"}, Command: "esos clock show", Do: func(d *frame.Desk) { dateTime(d, zones) }},
		{Title: "Keep or Undo Network Change", Does: "Answer a change of the network that waits to be confirmed, after logging in anew.",
			Command: "esos network confirm", Do: keepOrUndo},
		{Title: "Users", Does: "All who log in to the machine: roles, names, passwords, SSH keys, locks.",
			Command: "esos account list", Do: users},
		{Title: "SSH Keys", Does: "Public keys that open a person's logins over SSH.",
			Command: "esos account key list", Do: func(d *frame.Desk) { chooseUser(d, "SSH Keys", noPerson, sshKeys) }},
		{Title: "Services", Does: "Services of the machine such as SNMP: on, off, started anew.",
			Command: "esos service list", Do: services},
		{Title: "API Users and Tokens", Does: "Who may use the REST API over the network, and tokens for programs.",
			Command: "esos user list", Do: apiUsers},
	}}
}

// syncNow saves the settings; what it says is shown as it comes.
func syncNow(d *frame.Desk) { d.Command("Sync Configuration", nil, "sync") }

// withDocument reads the document, and then opens a screen that begins with it.
func withDocument(d *frame.Desk, open func(*frame.Desk, document)) {
	frame.Load(d, "Read the array's document", func(ctx context.Context) (document, error) { return d.Document(ctx) },
		func(doc document) { open(d, doc) })
}
