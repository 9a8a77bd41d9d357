package upkeep

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// crmStatus shows the services of a cluster. A document has no cluster yet;
// whoever set one up by hand sees here whether it runs.
func crmStatus(d *frame.Desk) {
	p := &frame.Page{Title: "CRM Status", Command: "esos service list",
		Help: "Whether the services of a cluster run on this array: corosync (who is a member) and pacemaker (what runs where)."}
	p.Keys = []frame.PageKey{{Key: 'l', Does: "look again", Do: func() { readCRM(d, p) }}}
	d.Page(p)
	readCRM(d, p)
}

func readCRM(d *frame.Desk, p *frame.Page) {
	frame.Load(d, "Look at the services", d.Client().Services, func(all []v1.ServiceState) { p.Text = crmText(all) })
}

func clusterServices() []string {
	return []string{"corosync", "pacemaker", "corosync-qdevice", "dlm", "lvmlockd"}
}

func crmText(all []v1.ServiceState) string {
	corosync, pacemaker := serviceOf(all, "corosync"), serviceOf(all, "pacemaker")
	var b strings.Builder
	switch {
	case idle(corosync) && idle(pacemaker):
		b.WriteString("No cluster is configured on this array: corosync and pacemaker are off.\n")
	case corosync.State == "active" && pacemaker.State == "active":
		b.WriteString("The cluster's services run. 'crm status' at the shell shows its nodes and resources.\n")
	default:
		b.WriteString("Not all of the cluster's services run: this node takes no part in it.\n")
	}
	b.WriteString("\n" + serviceLines(all, clusterServices()))
	return b.String()
}

func idle(s v1.ServiceState) bool {
	return !s.Enabled && (s.State == "inactive" || s.State == "absent")
}

// serviceOf is a service; absent if the array has none of that name.
func serviceOf(all []v1.ServiceState, name string) v1.ServiceState {
	if i := slices.IndexFunc(all, func(s v1.ServiceState) bool { return s.Name == name }); i >= 0 {
		return all[i]
	}
	return v1.ServiceState{Name: name, State: "absent"}
}

func serviceLines(all []v1.ServiceState, names []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-17s %-7s %-10s %s\n", "service", "at boot", "now", "what it is")
	for _, n := range names {
		s := serviceOf(all, n)
		boot := "off"
		if s.Enabled {
			boot = "on"
		}
		fmt.Fprintf(&b, "%-17s %-7s %-10s %s\n", s.Name, boot, s.State, s.Does)
		if s.Why != "" {
			fmt.Fprintf(&b, "                  %s\n", s.Why)
		}
	}
	return b.String()
}

// mirrored is what is known of DRBD on the machine.
type mirrored struct {
	services []v1.ServiceState
	storage  v1.StorageState
}

// drbdStatus shows DRBD's block devices.
func drbdStatus(d *frame.Desk) {
	p := &frame.Page{Title: "DRBD Status", Command: "esos disk list",
		Help: "Block devices that DRBD mirrors over the network. A document has none yet; those that were set up by hand are shown."}
	read := func() {
		frame.Load(d, "Look at the disks", func(ctx context.Context) (mirrored, error) {
			var m mirrored
			var err error
			if m.storage, err = d.Client().Storage(ctx); err != nil {
				return m, err
			}
			m.services, err = d.Client().Services(ctx)
			return m, err
		}, func(m mirrored) { p.Text = drbdText(m) })
	}
	p.Keys = []frame.PageKey{{Key: 'l', Does: "look again", Do: read}}
	d.Page(p)
	read()
}

func drbdText(m mirrored) string {
	var b strings.Builder
	found := false
	for _, x := range slices.Concat(m.storage.Disks, m.storage.Blocks) {
		if !strings.HasPrefix(x.Name, "drbd") {
			continue
		}
		if !found {
			fmt.Fprintf(&b, "%-10s %-10s %-24s %s\n", "device", "size", "on", "used by")
		}
		found = true
		use := x.Claimed
		if use == "" {
			use = x.Holds
		}
		fmt.Fprintf(&b, "%-10s %-10s %-24s %s\n", x.Name, pick.Size(x.Size), strings.Join(x.Below, ", "), use)
	}
	if found {
		b.WriteString("\n'drbdadm status' at the shell shows how each stands to its peer.\n")
	} else {
		b.WriteString("No DRBD resource is configured on this array: DRBD has no block device.\n")
	}
	b.WriteString("\n" + serviceLines(m.services, []string{"drbd"}))
	return b.String()
}
