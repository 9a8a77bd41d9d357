package hardware

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/inventory"
	"github.com/esos-project/esos/internal/tui/frame"
)

// Remote shows what this machine logs in to.
func Remote(d *frame.Desk) {
	declared := func(do func(v1.RemoteLogin)) func(frame.Row) {
		return func(r frame.Row) {
			l, ok := r.Value.(v1.RemoteLogin)
			switch {
			case !ok:
				d.Say("Who this machine is", fmt.Sprintf("%s\n\nThis is the name by which other arrays know this machine: they show their disks to it by that. It was made at the first boot, and stays.", r.Value))
			case l.Name == "":
				d.Say("Not declared", "Somebody else logged in to "+l.Target+": it is left alone.")
			default:
				do(l)
			}
		}
	}
	d.List(&frame.List{
		Title: "Remote disks", Command: "esos remote list",
		Help:    "iSCSI targets and NVMe subsystems of other arrays that this machine logs in to, each by one address; a target with two addresses has two entries. Their disks are among Disks, and can be used as its own.",
		Columns: []frame.Column{{Title: "name"}, {Title: "by"}, {Title: "state"}, {Title: "target", Wide: true}, {Title: "address"}, {Title: "disks", Extra: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			now, err := d.Client().Storage(ctx)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, l := range now.Remote.Logins {
				rows = append(rows, loginRow(l))
			}
			for _, who := range [][2]string{{"iscsi", now.Remote.Initiator}, {"nvme", now.Remote.Host}} {
				if who[1] == "" {
					who[1] = "(not named yet)"
				}
				rows = append(rows, frame.Row{ID: who[0], Level: frame.Dim, Cells: []string{"(this is)", who[0], "", who[1]},
					Value: who[1],
					Why:   strings.TrimSpace("Other arrays show their disks to this machine by the name " + who[1] + ". " + now.Remote.Error)})
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Does: "all of it", Do: func(r frame.Row) {
				if l, ok := r.Value.(v1.RemoteLogin); ok {
					frame.Load(d, "Look at its disks", d.Client().Storage, func(now v1.StorageState) { showLogin(d, now, l) })
				} else {
					declared(nil)(r)
				}
			}},
			{Key: 'a', Does: "add iSCSI", Always: true, Do: func(frame.Row) { addISCSI(d) }},
			{Key: 'n', Does: "add NVMe", Always: true, Do: func(frame.Row) { addNVMe(d) }},
			{Key: 'e', Does: "change", Do: declared(func(l v1.RemoteLogin) { changeISCSI(d, l) })},
			{Key: 'd', Does: "log out", Do: declared(func(l v1.RemoteLogin) {
				d.Change(frame.Change{Why: "esos remote delete " + l.Name, Edit: func(doc *config.Document) error { return doc.RemoveRemote(l.Name) }})
			})},
		},
	})
}

func loginRow(l v1.RemoteLogin) frame.Row {
	r := frame.Row{ID: l.Name + " " + l.Transport + " " + l.Target + " " + l.Address, Value: l, Cells: []string{l.Name, l.Transport, l.State, l.Target, l.Address, strings.Join(l.Disks, " ")}}
	switch l.State {
	case "up":
		r.Level = frame.Good
	case "lost":
		r.Level, r.Why = frame.Bad, "The array does not answer at "+l.Address+": it is tried again and again."
	default:
		r.Level, r.Why = frame.Bad, "There is no login: it is tried again every half minute. Home's alerts say why it failed."
	}
	if l.Name == "" {
		r.Cells[0], r.Level, r.Why = "-", frame.Dim, "Somebody else logged in: it is left alone."
	}
	return r
}

func showLogin(d *frame.Desk, now v1.StorageState, l v1.RemoteLogin) {
	var b strings.Builder
	fmt.Fprintf(&b, "Name:       %s\nTransport:  %s\nTarget:     %s\nAddress:    %s\nState:      %s\n\nDisks:\n", l.Name, l.Transport, l.Target, l.Address, l.State)
	for _, name := range l.Disks {
		k, ok := inventory.Find(now, name)
		if !ok {
			continue
		}
		fmt.Fprintf(&b, "  %-6s %s, %s, %s %s\n", name, k.ID, config.Size(k.Size).Human(), inventory.Used(k), k.Holds)
	}
	if len(l.Disks) == 0 {
		b.WriteString("  none. The other array must show some to this machine.\n")
	}
	d.Page(&frame.Page{Title: "Remote " + l.Target, Command: "esos remote list", Text: b.String(), Help: "A path to disks of another array."})
}

// names reads the names that are taken.
func names(d *frame.Desk, then func(taken []string, now v1.RemoteState)) {
	type both struct {
		doc *config.Document
		now v1.StorageState
	}
	frame.Load(d, "Look at what this machine is logged in to", func(ctx context.Context) (both, error) {
		doc, err := d.Document(ctx)
		if err != nil {
			return both{}, err
		}
		now, err := d.Client().Storage(ctx)
		return both{doc, now}, err
	}, func(b both) { then(b.doc.RemoteNames(), b.now.Remote) })
}

const addressHint = "Where it listens: 10.0.0.5, 10.0.0.5:3260, 2001:db8::5 or [2001:db8::5]:3260. No names: storage must come up without a name server."

// withCHAP are the fields of a CHAP name and its secret. had says that there is
// a secret already, which nothing typed leaves as it is.
func withCHAP(user, secret *string, had bool) []frame.Field {
	hint := "CHAP secret of this machine at the target. It is kept in the document, and never shown."
	if had {
		hint = "Empty: the one that it has stays."
	}
	return []frame.Field{
		{Label: "CHAP name", Text: user, Hint: "What the target wants this machine to log in with. Empty: no CHAP."},
		{Label: "CHAP secret", Text: secret, Secret: true, Hint: hint, Show: func() bool { return *user != "" }, Check: func(s string) error {
			switch {
			case s == "" && *user != "" && !had:
				return fmt.Errorf("a name and a secret go together")
			case len(s) > 255:
				return fmt.Errorf("at most 255 characters")
			}
			return nil
		}},
	}
}

// addISCSI asks for an iSCSI target elsewhere.
func addISCSI(d *frame.Desk) {
	names(d, func(taken []string, now v1.RemoteState) {
		var name, target, portal, user, secret string
		f := &frame.Form{Title: "Log In to an iSCSI Target", Command: "esos remote add-iscsi NAME TARGET ADDRESS --user NAME --secret-file -", Submit: "Log in",
			Intro: "Map its disks there first to this initiator:\n" + now.Initiator,
			Help:  "This machine logs in now and at each boot, by one address; a target that is reached at two has two entries. Its disks are then among Disks."}
		f.Fields = append([]frame.Field{
			{Label: "Name", Text: &name, Check: frame.Name(64, taken), Hint: "What to call this path, such as array2-a."},
			{Label: "Target", Text: &target, Check: config.CheckRemoteTarget, Hint: "The target's iSCSI name, such as iqn.2026-11.com.example:array2."},
			{Label: "Address", Text: &portal, Check: config.CheckRemoteAddress, Hint: addressHint},
		}, withCHAP(&user, &secret, false)...)
		f.Do = func() {
			r := config.RemoteISCSI{Name: name, Target: target, Portal: portal, User: user, Secret: config.Secret(secret)}
			why := "esos remote add-iscsi " + name + " " + target + " " + portal
			if user != "" {
				why += " --user " + user + " --secret-file -"
			} else {
				r.Secret = ""
			}
			d.Change(frame.Change{Why: why, From: f, Edit: func(doc *config.Document) error { return doc.AddRemoteISCSI(r) }})
		}
		d.Form(f)
	})
}

// changeISCSI asks for how an iSCSI target is logged in to.
func changeISCSI(d *frame.Desk, l v1.RemoteLogin) {
	if l.Transport != "iscsi" {
		d.Say("Nothing to change", "An NVMe subsystem is connected to by its name and address: log out, and add it anew.")
		return
	}
	frame.Load(d, "Read the document", d.Document, func(doc *config.Document) {
		t, err := doc.FindRemoteISCSI(l.Name)
		if err != nil {
			d.Fail("Change "+l.Name, err)
			return
		}
		portal, user, secret := t.Portal, t.User, ""
		f := &frame.Form{Title: "Change " + l.Name, Command: "esos remote set " + l.Name + " --address ADDRESS --user NAME --secret-file -", Intro: l.Target,
			Help: "With another address this machine logs in there first, and then out at the old one. A session whose disks are in use goes on with the old CHAP name and secret until it ends."}
		f.Fields = append([]frame.Field{{Label: "Address", Text: &portal, Check: config.CheckRemoteAddress, Hint: addressHint}}, withCHAP(&user, &secret, t.User != "")...)
		f.Do = func() {
			why := "esos remote set " + l.Name + " --address " + portal
			if secret != "" {
				why += " --secret-file -"
			}
			if user != t.User {
				why += fmt.Sprintf(" --user %q", user)
			}
			d.Change(frame.Change{Why: why, From: f, Edit: func(doc *config.Document) error {
				t, err := doc.FindRemoteISCSI(l.Name)
				if err != nil {
					return err
				}
				t.Portal, t.User = portal, user
				switch {
				case user == "":
					t.Secret = ""
				case secret != "":
					t.Secret = config.Secret(secret)
				}
				return nil
			}})
		}
		d.Form(f)
	})
}

// addNVMe asks for an NVMe subsystem elsewhere.
func addNVMe(d *frame.Desk) {
	names(d, func(taken []string, now v1.RemoteState) {
		var name, subsystem, address string
		transport := "tcp"
		f := &frame.Form{Title: "Connect to an NVMe Subsystem", Command: "esos remote add-nvme NAME SUBSYSTEM ADDRESS --transport tcp", Submit: "Connect",
			Intro: "Let this host in there first:\n" + now.Host,
			Help:  "This machine connects now and at each boot, by one address. A subsystem with several addresses has its disks once: Linux gathers these paths itself."}
		f.Fields = []frame.Field{
			{Label: "Name", Text: &name, Check: frame.Name(64, taken), Hint: "What to call this path, such as flash-a."},
			{Label: "Subsystem", Text: &subsystem, Check: config.CheckRemoteSubsystem, Hint: "Its NQN, such as nqn.2026-11.com.example:flash."},
			{Label: "Address", Text: &address, Check: config.CheckRemoteAddress, Hint: strings.ReplaceAll(addressHint, "3260", "4420")},
			{Label: "Transport", One: &transport, Options: frame.Options("tcp", "rdma"), Hint: "rdma needs network cards with RDMA at both ends."},
		}
		f.Do = func() {
			n := config.RemoteNVMe{Name: name, Subsystem: subsystem, Transport: transport, Address: address}
			d.Change(frame.Change{Why: "esos remote add-nvme " + name + " " + subsystem + " " + address + " --transport " + transport, From: f,
				Edit: func(doc *config.Document) error { return doc.AddRemoteNVMe(n) }})
		}
		d.Form(f)
	})
}
