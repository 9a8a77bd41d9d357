package iscsi

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/iscsi/login"
	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// TargetConfig is what a server needs to know of a target.
type TargetConfig struct {
	Name  string // iqn., eui. or naa.
	Alias string
	// SCSI has the host groups and LUN maps. An initiator that falls into no
	// group, and finds no LUN in the default map, does not see the target.
	SCSI *scsi.Target
	// Ports are the target's ports by target portal group tag. Through portals
	// of other groups the target is not to be had.
	Ports map[int]*scsi.Port
	// Portals are the names of the portals that it is served through; all when
	// empty.
	Portals []string
	// Disabled: nobody may log in, and those who are get asked to leave.
	Disabled bool
	// Auth says what an initiator has to prove; nil: nothing.
	Auth func(initiator string) login.Auth
	// Offer is the target's side of the negotiation; start from
	// login.DefaultOffer.
	Offer login.Offer
	// Redirect sends logins elsewhere: host:port.
	Redirect string
	// MaxSessions bounds the target's sessions; 0: only the server's own bound.
	MaxSessions int
	// PingInterval is how long an initiator may be silent before it is asked
	// whether it is there, PingTimeout how long it may take to answer. Without
	// an interval it is not asked.
	PingInterval time.Duration
	PingTimeout  time.Duration
}

// target is a target of the server; guarded by the server's lock.
type target struct {
	config   TargetConfig
	sessions int
}

// logoutGrace is how long initiators have to log out of a target that is
// removed or disabled.
const logoutGrace = 3 * time.Second

// maxWindow bounds the CmdSN window: tags and tables are made for it.
const maxWindow = 1024

// PutTarget adds a target, or changes one: what changed counts from the next
// login on and ends no session, but for Disabled.
func (s *Server) PutTarget(c TargetConfig) error {
	if err := wire.CheckName(c.Name); err != nil {
		return fmt.Errorf("target name %q: %w", c.Name, err)
	}
	if c.SCSI == nil || len(c.Ports) == 0 {
		return fmt.Errorf("target %s has no SCSI target or no ports", c.Name)
	}
	name := wire.NormalizeName(c.Name)
	c.Name = name
	c.Ports = maps.Clone(c.Ports)
	c.Portals = slices.Clone(c.Portals)
	if c.Offer.Window == 0 {
		c.Offer.Window = login.DefaultOffer().Window
	}
	c.Offer.Window = min(c.Offer.Window, maxWindow)
	if c.Offer.MaxRecvDataSegmentLength == 0 {
		c.Offer.MaxRecvDataSegmentLength = login.DefaultOffer().MaxRecvDataSegmentLength
	}
	c.Offer.MaxRecvDataSegmentLength = min(c.Offer.MaxRecvDataSegmentLength, uint32(s.options.MaxRecvDataSegmentLength))
	if c.PingTimeout <= 0 {
		c.PingTimeout = 30 * time.Second
	}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return fmt.Errorf("add target %s: %w", c.Name, ErrClosed)
	}
	t := s.targets[name]
	if t == nil {
		t = &target{}
		s.targets[name] = t
	}
	t.config = c
	s.mu.Unlock()
	if c.Disabled {
		s.dismiss(t, "the target was disabled")
	}
	return nil
}

// RemoveTarget takes a target away. Its sessions are asked to log out and
// ended after a grace period; RemoveTarget returns when none is left. A target
// that is gone already is fine.
func (s *Server) RemoveTarget(name string) {
	name = wire.NormalizeName(name)
	s.mu.Lock()
	t := s.targets[name]
	delete(s.targets, name)
	s.mu.Unlock()
	if t != nil {
		s.dismiss(t, "the target was removed")
	}
}

// dismiss ends the sessions of a target.
func (s *Server) dismiss(t *target, why string) {
	sessions := s.those(func(x *session) bool { return x.target == t })
	for _, x := range sessions {
		x.conn.requestLogout(logoutGrace)
	}
	grace := time.NewTimer(logoutGrace)
	defer grace.Stop()
	late := false
	for _, x := range sessions {
		if !late {
			select {
			case <-x.over:
				continue
			case <-grace.C:
				late = true
			}
		}
		x.conn.kick(why)
	}
	for _, x := range sessions {
		<-x.over
	}
}

// SetDiscoveryAuth says what an initiator has to prove for a discovery
// session; nil: nothing.
func (s *Server) SetDiscoveryAuth(auth func(initiator string) login.Auth) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discover = auth
}

// admission answers for the server what login asks; it belongs to one
// connection in the login phase.
type admission struct {
	server *Server
	portal *portal
	target *target // what was logged in to
	config TargetConfig
}

// Admit implements login.Policy.
func (a *admission) Admit(r login.Request) login.Access {
	s := a.server
	s.mu.Lock()
	if r.Discovery {
		auth := s.discover
		s.mu.Unlock()
		access := login.Access{Admitted: true, Offer: login.DefaultOffer()}
		access.Offer.MaxRecvDataSegmentLength = discoverySegment
		if auth != nil {
			access.Auth = auth(r.Initiator)
		}
		return access
	}
	t := s.targets[r.Target]
	if t == nil {
		s.mu.Unlock()
		return login.Access{Status: wire.LoginNotFound, Reason: "there is no such target"}
	}
	c := t.config
	exists := false
	if old := s.byKey[sessionKey{r.Initiator, r.ISID, r.Target, r.Group}]; old != nil {
		exists = old.tsih == r.TSIH
	}
	s.mu.Unlock()
	a.target, a.config = t, c
	switch {
	case !c.through(a.portal):
		return login.Access{Status: wire.LoginNotFound, Reason: "the target is not served through portal " + a.portal.name}
	case c.Disabled:
		return login.Access{Status: wire.LoginServiceUnavailable, Reason: "the target is disabled"}
	case c.Redirect != "":
		return login.Access{Status: wire.LoginMovedTemporarily, Redirect: c.Redirect, Reason: "logins are sent to " + c.Redirect}
	case !c.visible(r.Initiator):
		return login.Access{Status: wire.LoginForbidden, Reason: "no host group has the initiator, and the default LUN map is empty"}
	}
	access := login.Access{Admitted: true, Alias: c.Alias, Offer: c.Offer, SessionExists: exists}
	if c.Auth != nil {
		access.Auth = c.Auth(r.Initiator)
	}
	return access
}

// discoverySegment is how much text a discovery session takes in a PDU.
const discoverySegment = 8 << 10

// through says whether the target is served through a portal.
func (c *TargetConfig) through(p *portal) bool {
	return c.Ports[p.group] != nil && (len(c.Portals) == 0 || slices.Contains(c.Portals, p.name))
}

// visible says whether the target has something for an initiator.
func (c *TargetConfig) visible(initiator string) bool {
	group, luns := c.SCSI.Resolve(initiator)
	return group != "" || len(luns) > 0
}

// records lists the targets that an initiator may see, with their portals:
// all, or the one with the name given. local is the address that the
// initiator reached us at: it stands for portals that listen on every address.
func (s *Server) records(initiator, name string, local net.Addr) []login.Record {
	s.mu.Lock()
	var configs []TargetConfig
	for n, t := range s.targets {
		if (name == "" || n == name) && !t.config.Disabled {
			configs = append(configs, t.config)
		}
	}
	portals := slices.SortedFunc(maps.Values(s.portals), func(a, b *portal) int { return strings.Compare(a.name, b.name) })
	s.mu.Unlock()
	slices.SortFunc(configs, func(a, b TargetConfig) int { return strings.Compare(a.Name, b.Name) })
	var found []login.Record
	for _, c := range configs {
		if !c.visible(initiator) {
			continue
		}
		r := login.Record{Name: c.Name}
		for _, p := range portals {
			if c.through(p) {
				r.Addresses = append(r.Addresses, login.Address{HostPort: p.announced(local), Group: uint16(p.group)})
			}
		}
		if len(r.Addresses) > 0 {
			found = append(found, r)
		}
	}
	return found
}
