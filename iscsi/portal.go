package iscsi

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// portal is an address that initiators connect to.
type portal struct {
	server   *Server
	name     string
	group    int // target portal group tag
	listener net.Listener

	mu       sync.Mutex
	announce string
	conns    map[net.Conn]func(why string) // how to end a connection
	gone     bool
}

// AddPortal serves the connections that l accepts, as a portal of the target
// portal group given. Discovery tells initiators announce (host:port); if that
// is empty, the address of l, and where that is every address, the one that
// the initiator reached us at. The server closes l.
func (s *Server) AddPortal(name string, l net.Listener, group int, announce string) error {
	if group < 0 || group > 0xffff {
		return fmt.Errorf("add portal %s: target portal group tag %d is not in 0..65535", name, group)
	}
	p := &portal{server: s, name: name, group: group, announce: announce, listener: l, conns: map[net.Conn]func(string){}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return fmt.Errorf("add portal %s: %w", name, ErrClosed)
	}
	if s.portals[name] != nil {
		return fmt.Errorf("add portal %s: there is one of this name", name)
	}
	s.portals[name] = p
	s.all.Add(1)
	go p.accept()
	return nil
}

// RemovePortal closes a portal and its connections. It returns when their
// tasks have ended. A portal that is gone already is fine.
func (s *Server) RemovePortal(name string) {
	s.mu.Lock()
	p := s.portals[name]
	delete(s.portals, name)
	s.mu.Unlock()
	if p == nil {
		return
	}
	p.stopListening()
	sessions := s.those(func(x *session) bool { return x.portal == name })
	p.closeAll("portal " + name + " was removed")
	for _, x := range sessions {
		<-x.over
	}
}

// Announce changes what discovery tells of a portal (see AddPortal). Its
// connections stay. A portal that is gone already is fine.
func (s *Server) Announce(name, announce string) {
	s.mu.Lock()
	p := s.portals[name]
	s.mu.Unlock()
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.announce = announce
}

// Portals lists the names and the addresses of the portals.
func (s *Server) Portals() map[string]net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]net.Addr{}
	for n, p := range s.portals {
		all[n] = p.listener.Addr()
	}
	return all
}

func (p *portal) accept() {
	s := p.server
	defer s.all.Done()
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, most likely: others may give some back.
			s.log.Warn("accept a connection", "portal", p.name, "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-s.stop:
				return
			}
		}
		if !s.welcome(conn) {
			s.log.Debug("too many connections in login", "portal", p.name, "address", conn.RemoteAddr())
			_ = conn.Close()
			continue
		}
		if !p.keep(conn, func(string) { _ = conn.Close() }) {
			s.farewell(conn)
			_ = conn.Close()
			continue
		}
		s.all.Add(1)
		go func() {
			defer s.all.Done()
			defer p.drop(conn)
			s.handle(p, conn)
		}()
	}
}

// welcome counts a connection that has still to log in, if there is room.
func (s *Server) welcome(conn net.Conn) bool {
	h := host(conn.RemoteAddr())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.nguests >= s.options.MaxLogins || s.guests[h] >= s.options.MaxLoginsPerAddress {
		return false
	}
	s.nguests++
	s.guests[h]++
	return true
}

// farewell says that a connection has logged in, or that it is gone.
func (s *Server) farewell(conn net.Conn) {
	h := host(conn.RemoteAddr())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nguests--
	if s.guests[h]--; s.guests[h] == 0 {
		delete(s.guests, h)
	}
}

// keep notes how to end a connection; false if the portal is gone.
func (p *portal) keep(conn net.Conn, end func(why string)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	p.conns[conn] = end
	return true
}

func (p *portal) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

func (p *portal) stopListening() {
	_ = p.listener.Close() // an error means that it is closed
}

// closeAll ends the portal's connections.
func (p *portal) closeAll(why string) {
	p.mu.Lock()
	p.gone = true
	var ends []func(string)
	for _, end := range p.conns {
		ends = append(ends, end)
	}
	p.mu.Unlock()
	for _, end := range ends {
		end(why)
	}
}

// announced is the address that discovery tells of the portal.
func (p *portal) announced(local net.Addr) string {
	p.mu.Lock()
	announce := p.announce
	p.mu.Unlock()
	if announce != "" {
		return announce
	}
	at, ok := p.listener.Addr().(*net.TCPAddr)
	if !ok {
		return p.listener.Addr().String()
	}
	if l, ok := local.(*net.TCPAddr); ok && at.IP.IsUnspecified() {
		return (&net.TCPAddr{IP: l.IP, Port: at.Port}).String()
	}
	return (&net.TCPAddr{IP: at.IP, Port: at.Port}).String()
}
