package process

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/iscsi"
	"github.com/esos-project/esos/iscsi/login"
	"github.com/esos-project/esos/scsi"
)

// portal is a portal that is served; guarded by Process.mu.
type portal struct{ spec control.Portal }

// Defaults of a target's questions to silent initiators, in seconds.
const (
	pingInterval = 30
	pingTimeout  = 30
)

// newServer makes the iSCSI server; what happens in it goes to the daemon.
func (p *Process) newServer() *iscsi.Server {
	return iscsi.NewServer(iscsi.Options{
		Log: p.log,
		Events: func(e iscsi.Event) {
			object := e.Target
			if object == "" {
				object = "discovery"
			}
			p.publish(string(e.Kind), object, e.Message, map[string]string{
				"initiator": e.Initiator, "address": e.Address, "session": e.Session,
			})
		},
	})
}

// putPortal serves a listening socket, or changes what is told of one.
func (p *Process) putPortal(spec control.Portal, f *files) (control.Portal, error) {
	p.change.Lock()
	defer p.change.Unlock()
	i := slices.IndexFunc(p.portals, func(o *portal) bool { return o.spec.Name == spec.Name })
	if i < 0 {
		return p.newPortal(spec, f)
	}
	have := p.portals[i]
	if have.spec.Address != spec.Address || have.spec.Group != spec.Group {
		return spec, control.Errorf(control.Refused, "address and group of a portal cannot change while it is open; delete the portal and open it anew")
	}
	p.server.Announce(spec.Name, spec.Announce)
	spec.Bound = have.spec.Bound
	p.mu.Lock()
	have.spec = spec
	p.mu.Unlock()
	return spec, nil
}

func (p *Process) newPortal(spec control.Portal, f *files) (control.Portal, error) {
	file := f.take()
	if file == nil {
		return spec, control.Errorf(control.Refused, "no socket came with portal %s", spec.Name)
	}
	defer file.Close() // FileListener duplicates it
	l, err := net.FileListener(file)
	if err != nil {
		return spec, fmt.Errorf("take socket of portal %s: %w", spec.Name, err)
	}
	if err := p.server.AddPortal(spec.Name, l, spec.Group, spec.Announce); err != nil {
		l.Close()
		return spec, err
	}
	spec.Bound = l.Addr().String()
	p.mu.Lock()
	p.portals = append(p.portals, &portal{spec: spec})
	p.mu.Unlock()
	return spec, nil
}

// deletePortal closes a portal and its connections.
func (p *Process) deletePortal(name string) error {
	p.change.Lock()
	defer p.change.Unlock()
	p.server.RemovePortal(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.portals = slices.DeleteFunc(p.portals, func(o *portal) bool { return o.spec.Name == name })
	return nil
}

// putDiscovery says who may discover.
func (p *Process) putDiscovery(a control.Auth) error {
	p.change.Lock()
	defer p.change.Unlock()
	check, err := authentication(a)
	if err != nil {
		return err
	}
	p.server.SetDiscoveryAuth(check)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.discovery = a
	return nil
}

// serveTarget hands a target's settings to the server. A target that has no
// port yet (no portal leads to it) is not served.
func (p *Process) serveTarget(t *scsi.Target, spec control.Target) error {
	if len(spec.RelativeIDs) == 0 {
		p.server.RemoveTarget(spec.Name)
		return nil
	}
	auth, err := authentication(spec.Auth)
	if err != nil {
		return err
	}
	ports := make(map[int]*scsi.Port, len(spec.RelativeIDs))
	var peers []uint16
	for _, id := range spec.RelativeIDs {
		peers = append(peers, uint16(id))
	}
	slices.Sort(peers)
	for tag, id := range spec.RelativeIDs {
		if tag < 0 || tag > 0xffff || id < 1 || id > 0xffff {
			return control.Errorf(control.Refused, "relative identifier %d of portal group %d: both go up to 65535", id, tag)
		}
		// The name of a target port is made of the target's and the tag (RFC 7143 4.2.7.2).
		ports[tag] = &scsi.Port{Name: fmt.Sprintf("%s,t,0x%04x", spec.Name, tag), ID: uint16(id), Peers: peers}
	}
	par := spec.Parameters
	seconds := func(n, def int) time.Duration {
		switch {
		case n < 0:
			return 0
		case n == 0:
			n = def
		}
		return time.Duration(n) * time.Second
	}
	return p.server.PutTarget(iscsi.TargetConfig{
		Name: spec.Name, Alias: spec.Alias, SCSI: t, Ports: ports, Portals: spec.Portals, Disabled: spec.Disabled,
		Auth: auth, Offer: offer(par), Redirect: spec.Redirect, MaxSessions: par.MaxSessions,
		PingInterval: seconds(par.NopInInterval, pingInterval), PingTimeout: seconds(par.NopInTimeout, pingTimeout),
	})
}

// offer is the target's side of the negotiation.
func offer(par control.Parameters) login.Offer {
	o := login.DefaultOffer()
	set := func(to *uint32, n int) {
		if n > 0 {
			*to = uint32(n)
		}
	}
	set(&o.MaxRecvDataSegmentLength, par.MaxRecvDataSegmentLength)
	set(&o.MaxBurstLength, par.MaxBurstLength)
	set(&o.FirstBurstLength, par.FirstBurstLength)
	set(&o.MaxOutstandingR2T, par.MaxOutstandingR2T)
	set(&o.Window, par.QueuedCommands)
	if len(par.HeaderDigest) > 0 {
		o.HeaderDigest = par.HeaderDigest
	}
	if len(par.DataDigest) > 0 {
		o.DataDigest = par.DataDigest
	}
	if par.InitialR2T != nil {
		o.InitialR2T = *par.InitialR2T
	}
	if par.ImmediateData != nil {
		o.ImmediateData = *par.ImmediateData
	}
	return o
}

// authentication says what an initiator has to prove; nil if nothing.
func authentication(a control.Auth) (func(initiator string) login.Auth, error) {
	if len(a.Users) == 0 {
		return nil, nil
	}
	var algorithms []login.Algorithm
	for _, name := range a.Algorithms {
		alg, err := login.ParseAlgorithm(name)
		if err != nil {
			return nil, control.Errorf(control.Refused, "%v", err)
		}
		algorithms = append(algorithms, alg)
	}
	user := func(u control.User) login.User { return login.User{Name: u.Name, Secret: login.Secret(u.Secret)} }
	var mutual *login.User
	if a.Mutual != nil {
		m := user(*a.Mutual)
		mutual = &m
	}
	users := slices.Clone(a.Users)
	return func(initiator string) login.Auth {
		out := login.Auth{Required: true, Mutual: mutual, Algorithms: algorithms}
		for _, u := range users {
			if len(u.Initiators) == 0 || scsi.MatchInitiator(u.Initiators, initiator) {
				out.Users = append(out.Users, user(u))
			}
		}
		return out
	}, nil
}

// sessions lists the initiators that are logged in.
func (p *Process) sessions() []control.Session {
	out := []control.Session{}
	for _, s := range p.server.Sessions() {
		if s.Discovery {
			continue
		}
		out = append(out, control.Session{
			ID: s.ID, Target: s.Target, Group: s.Group, Initiator: s.Initiator, ISID: fmt.Sprintf("%012x", s.ISID),
			Address: s.Address, Portal: s.Portal, Since: s.Since, LUNs: s.LUNs, Active: s.Active, Counters: counters(s.Counters),
		})
	}
	return out
}

// closeSession ends a session; one that is gone is fine.
func (p *Process) closeSession(id string) error {
	if err := p.server.CloseSession(id); err != nil && !errors.Is(err, iscsi.ErrNoSession) {
		return err
	}
	return nil
}
