// Package remotetest has what the tests of remote disks, and of the paths to
// them, share: a machine with arrays elsewhere, documents, and what stands for
// the layers above.
package remotetest

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/plan"
)

// Names of what is elsewhere, and the paths that it has here.
const (
	IQN     = "iqn.2026-11.com.example:array2"
	NQN     = "nqn.2026-11.com.example:array3"
	PortalA = "10.0.0.5:3260"
	PortalB = "10.0.1.5:3260"
	WWID    = "3600140500000001" // of the target's disk
	AddrA   = "10.0.0.6:4420"
	AddrB   = "[fd00::6]:4420"
	PathA   = "/dev/disk/by-path/ip-10.0.0.5:3260-iscsi-" + IQN + "-lun-0"
	PathB   = "/dev/disk/by-path/ip-10.0.1.5:3260-iscsi-" + IQN + "-lun-0"
)

// User stands for the layers above: it takes disks for arrays, and what is
// declared before is left until its disks are there.
type User struct{ M *storagefake.Machine }

// Name is user.
func (User) Name() string { return "user" }

// Observe looks at nothing.
func (User) Observe(context.Context, *config.Document, *layer.Observed) error { return nil }

// Plan makes arrays of what was claimed.
func (l User) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	for _, a := range declared.Storage.Arrays {
		object := "array/" + a.Name
		if _, before := seen.Before(object); before {
			if _, ok := seen.Storage.Blocks.Find(a.Disks[0]); !ok || b.Blocked(declared.Storage.Provider(a.Disks[0])) {
				b.Block(object, "%s cannot be had", a.Disks[0])
			}
			continue
		}
		c := seen.Claim(declared, b, a.Disks[0])
		if c.Missing+c.Refused != "" {
			b.Problem(object, "%s%s", c.Missing, c.Refused)
			continue
		}
		b.Add(plan.Step{Layer: "user", Object: object, Action: plan.Create, Sentence: "Create array " + a.Name, Needs: disk.Wipe(l.M, c, b),
			Do: func(context.Context, plan.Report) error {
				d := l.M.Look(a.Disks[0])
				if d == nil {
					return fmt.Errorf("%s is not there", a.Disks[0])
				}
				d.Content, d.Owner = []block.Content{{Type: "linux_raid_member"}}, object
				return nil
			},
			Undo: func(context.Context) error {
				if d := l.M.Look(a.Disks[0]); d != nil && d.Owner == object {
					d.Content, d.Owner = nil, ""
				}
				return nil
			}})
	}
}

// Machine is one with two arrays elsewhere: an iSCSI target of two portals and
// an NVMe subsystem of two addresses.
func Machine() *storagefake.Machine {
	m := storagefake.New()
	m.Disk("vda", "own", 1<<30)
	m.Target(IQN, &storagefake.RemoteDisk{WWID: WWID, Serial: "00000001", Size: 10 << 30})
	m.Subsystem(NQN, &storagefake.RemoteDisk{WWID: "uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8", Serial: "n1", Size: 20 << 30})
	for _, p := range []string{PortalA, PortalB, AddrA, AddrB} {
		m.Portal(p, true)
	}
	return m
}

// Document makes a document out of edits.
func Document(edit ...func(*config.Document)) *config.Document {
	d := &config.Document{Version: 1, Name: "array1", ID: "6ba7b810-9dad-41d1-80b4-00c04fd430c8"}
	for _, e := range edit {
		e(d)
	}
	return d
}

// ISCSI declares a portal of the target.
func ISCSI(name, portal string) func(*config.Document) {
	return func(d *config.Document) {
		d.Storage.Remote.ISCSI = append(d.Storage.Remote.ISCSI, config.RemoteISCSI{Name: name, Target: IQN, Portal: portal})
	}
}

// CHAP gives the last declared portal a name and a secret.
func CHAP(user, secret string) func(*config.Document) {
	return func(d *config.Document) {
		r := d.Storage.Remote.ISCSI
		r[len(r)-1].User, r[len(r)-1].Secret = user, config.Secret(secret)
	}
}

// NVMe declares an address of the subsystem.
func NVMe(name, address string) func(*config.Document) {
	return func(d *config.Document) {
		d.Storage.Remote.NVMe = append(d.Storage.Remote.NVMe, config.RemoteNVMe{Name: name, Subsystem: NQN, Transport: "tcp", Address: address})
	}
}

// Array declares an array of one disk.
func Array(name, path string) func(*config.Document) {
	return func(d *config.Document) {
		d.Storage.Arrays = append(d.Storage.Arrays, config.Array{Name: name, Level: "1", Disks: []string{path}})
	}
}

// Map has multipath gather the paths to the target's disk.
func Map(name, wwid string) func(*config.Document) {
	return func(d *config.Document) {
		d.Storage.Multipath.Enabled = true
		d.Storage.Multipath.Maps = append(d.Storage.Multipath.Maps, config.MultipathMap{Name: name, WWID: wwid})
	}
}

// Holds has the target's disk hold somebody's data.
func Holds(m *storagefake.Machine) {
	m.Target(IQN, &storagefake.RemoteDisk{WWID: WWID, Serial: "00000001", Size: 10 << 30,
		Device: &storagefake.Device{Content: []block.Content{{Type: "xfs", Label: "mail"}}, Owner: "somebody's mail"}})
}
