package api

import (
	"net/netip"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/host/nvmehost"
	"github.com/esos-project/esos/internal/host/openiscsi"
	"github.com/esos-project/esos/internal/layer"
)

// remoteOf is what this machine is logged in to: what is declared first, in the
// order of the document.
func remoteOf(now appliance.Storage) v1.RemoteState {
	r := now.Remote
	out := v1.RemoteState{Initiator: r.Initiator, Host: r.Host, Logins: []v1.RemoteLogin{}}
	if r.Err != nil {
		out.Error = r.Err.Error()
	}
	taken := map[string]bool{}
	for _, t := range now.Declared.Storage.Remote.ISCSI {
		w := newLogin(t.Name, "iscsi", t.Target, t.Endpoint())
		for _, s := range r.ISCSI {
			if s.Target == t.Target && s.Portal == t.Endpoint() {
				w.found(s.State == openiscsi.LoggedIn, s.Disks)
				taken["iscsi "+s.String()] = true
			}
		}
		out.Logins = append(out.Logins, w.RemoteLogin)
	}
	for _, n := range now.Declared.Storage.Remote.NVMe {
		w := newLogin(n.Name, n.Transport, n.Subsystem, n.Endpoint())
		for _, c := range r.NVMe {
			if (nvmehost.Path{Subsystem: n.Subsystem, Transport: n.Transport, Address: n.Endpoint()}).Is(c) {
				w.found(c.State == nvmehost.Live, c.Disks)
				taken[c.Name] = true
			}
		}
		out.Logins = append(out.Logins, w.RemoteLogin)
	}
	for _, s := range r.ISCSI {
		if !taken["iscsi "+s.String()] {
			w := newLogin("", "iscsi", s.Target, s.Portal)
			w.found(s.State == openiscsi.LoggedIn, s.Disks)
			out.Logins = append(out.Logins, w.RemoteLogin)
		}
	}
	for _, c := range r.NVMe {
		if !taken[c.Name] {
			w := newLogin("", c.Transport, c.Subsystem, c.Address)
			w.found(c.State == nvmehost.Live, c.Disks)
			out.Logins = append(out.Logins, w.RemoteLogin)
		}
	}
	return out
}

type remoteLogin struct{ v1.RemoteLogin }

func newLogin(name, transport, target string, at netip.AddrPort) *remoteLogin {
	w := &remoteLogin{v1.RemoteLogin{Name: name, Transport: transport, Target: target, State: "down", Disks: []string{}}}
	if at.IsValid() {
		w.Address = at.String()
	}
	return w
}

func (w *remoteLogin) found(works bool, disks []string) {
	w.State = map[bool]string{true: "up", false: "lost"}[works]
	w.Disks = append(w.Disks, disks...)
}

// multipathOf are the disks that are reached by several paths.
func multipathOf(now appliance.Storage) v1.MultipathState {
	m := now.Multipath
	out := v1.MultipathState{Running: m.Running, Maps: []v1.GatheredDisk{}, Others: []v1.SeveralPaths{}}
	if m.Err != nil {
		out.Error = m.Err.Error()
	}
	for _, g := range m.Maps {
		w := v1.GatheredDisk{Name: g.Name, WWID: g.WWID, DM: g.DM, Paths: []v1.DiskPath{}}
		for _, p := range g.Paths {
			w.Paths = append(w.Paths, v1.DiskPath{Disk: p.Disk, State: p.State, Works: p.Works(), Through: p.Through})
		}
		out.Maps = append(out.Maps, w)
	}
	for _, ways := range layer.SeveralWays(now.Blocks) {
		w := v1.SeveralPaths{WWID: layer.WWID(ways[0]), Size: ways[0].Size}
		for _, d := range ways {
			w.Disks = append(w.Disks, d.Name)
		}
		out.Others = append(out.Others, w)
	}
	return out
}
