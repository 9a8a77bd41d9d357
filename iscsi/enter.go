package iscsi

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/esos-project/esos/iscsi/login"
	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// handle serves a connection from its first byte to its last.
func (s *Server) handle(p *portal, conn net.Conn) {
	x, err := s.enter(p, conn)
	s.farewell(conn)
	if x == nil {
		_ = conn.Close()
		s.refused(conn, err)
		return
	}
	_ = conn.Close() // x has the socket
	why := s.serve(x, p, conn)
	x.conn.sock.close()
	s.forget(x)
	if x.login.Discovery {
		return
	}
	s.log.Info("session closed", "session", x.id(), "initiator", x.login.Initiator, "target", x.login.Target, "why", why)
	s.options.Events(Event{Kind: SessionClosed, Initiator: x.login.Initiator, Target: x.login.Target, Address: x.remote.String(),
		Session: x.id(), Message: fmt.Sprintf("session of %s to %s closed: %v", x.login.Initiator, x.login.Target, why)})
}

// serve runs the full feature phase of a session and returns why it ended.
func (s *Server) serve(x *session, p *portal, conn net.Conn) error {
	if !p.keep(conn, x.conn.kick) {
		x.conn.kick("portal " + p.name + " was removed")
	}
	if !x.login.Discovery {
		s.log.Info("session opened", "session", x.id(), "initiator", x.login.Initiator, "target", x.login.Target,
			"address", x.remote.String(), "portal", p.name)
		s.options.Events(Event{Kind: SessionOpened, Initiator: x.login.Initiator, Target: x.login.Target,
			Address: x.remote.String(), Session: x.id(), Message: fmt.Sprintf("%s logged in to %s", x.login.Initiator, x.login.Target)})
	}
	why := x.conn.serve()
	if x.nexus != nil {
		x.nexus.Close()
	}
	return why
}

// refused tells of a login that failed. A connection that came and went
// without a word is no event: load balancers and port scanners make them.
func (s *Server) refused(conn net.Conn, err error) {
	var r *login.Refusal
	if !errors.As(err, &r) {
		s.log.Debug("no login", "address", conn.RemoteAddr(), "error", err)
		return
	}
	s.log.Warn("login refused", "initiator", r.Initiator, "target", r.Target, "address", conn.RemoteAddr(), "reason", r.Reason)
	s.options.Events(Event{Kind: LoginRefused, Initiator: r.Initiator, Target: r.Target,
		Address: conn.RemoteAddr().String(), Message: r.Error()})
}

// enter runs the login phase. The session that it returns is open and its last
// Login Response is sent.
func (s *Server) enter(p *portal, conn net.Conn) (*session, error) {
	if err := conn.SetDeadline(time.Now().Add(s.options.LoginTimeout)); err != nil {
		return nil, fmt.Errorf("set the deadline of a login: %w", err)
	}
	a := &admission{server: s, portal: p}
	n := login.New(a, uint16(p.group), rand.Reader)
	var h wire.BHS
	for {
		data, err := readLogin(conn, &h)
		if err != nil {
			return nil, err
		}
		reply, err := n.Feed(&h, data)
		if err != nil {
			return nil, errors.Join(err, writeLogin(conn, &reply))
		}
		if !n.Done() {
			if err := writeLogin(conn, &reply); err != nil {
				return nil, err
			}
			continue
		}
		x, refusal := s.begin(p, conn, n.Result(), a)
		if refusal != nil {
			reply, err := n.Refuse(&h, refusal.Status, refusal.Reason)
			return nil, errors.Join(err, writeLogin(conn, &reply))
		}
		reply.Header.SetTSIH(x.tsih)
		if err := writeLogin(conn, &reply); err != nil {
			s.undo(x)
			return nil, err
		}
		if err := conn.SetDeadline(time.Time{}); err != nil {
			s.undo(x)
			return nil, fmt.Errorf("clear the deadline of a login: %w", err)
		}
		return x, nil
	}
}

// begin opens the session of a login that has ended well.
func (s *Server) begin(p *portal, conn net.Conn, r login.Result, a *admission) (*session, *login.Refusal) {
	sock, err := newSocket(conn)
	if err != nil {
		return nil, &login.Refusal{Status: wire.LoginTargetError, Reason: err.Error()}
	}
	x := &session{server: s, login: r, portal: p.name, remote: conn.RemoteAddr(), since: time.Now(), over: make(chan struct{}),
		window: login.DefaultOffer().Window}
	if !r.Discovery {
		x.target = a.target
		x.window = a.config.Offer.Window
		x.pingInterval, x.pingTimeout = a.config.PingInterval, a.config.PingTimeout
	}
	x.conn = newConnection(x, sock)
	if refusal := s.open(x); refusal != nil {
		sock.close()
		return nil, refusal
	}
	if !r.Discovery {
		x.nexus = a.config.SCSI.NewNexus(scsi.InitiatorID{Name: r.Initiator, ISID: r.ISID}, a.config.Ports[p.group], x.conn)
	}
	x.ready.Store(true)
	return x, nil
}

// undo takes back a session whose initiator never heard of it.
func (s *Server) undo(x *session) {
	x.conn.end()
	x.conn.sock.close()
	if x.nexus != nil {
		x.nexus.Close()
	}
	s.forget(x)
}

// readLogin reads a Login Request. Its header is looked at before any of its
// data is: a stranger gets no more memory than a login needs.
func readLogin(conn net.Conn, h *wire.BHS) ([]byte, error) {
	if _, err := io.ReadFull(conn, h[:]); err != nil {
		return nil, fmt.Errorf("read a Login Request: %w", err)
	}
	n := h.DataLength()
	if h.Opcode() != wire.OpLoginRequest || h.AHSLength() > 0 {
		return nil, nil // Feed refuses it for its header
	}
	if n > login.MaxRequestLength {
		return nil, fmt.Errorf("a Login Request claims %d bytes of data, %d are allowed", n, login.MaxRequestLength)
	}
	data := make([]byte, n+wire.Padding(n))
	if _, err := io.ReadFull(conn, data); err != nil {
		return nil, fmt.Errorf("read a Login Request's data: %w", err)
	}
	return data[:n], nil
}

func writeLogin(conn net.Conn, r *login.Reply) error {
	pdu := make([]byte, wire.HeaderLength+len(r.Data)+wire.Padding(len(r.Data)))
	copy(pdu, r.Header[:])
	copy(pdu[wire.HeaderLength:], r.Data)
	if _, err := conn.Write(pdu); err != nil {
		return fmt.Errorf("send a Login Response: %w", err)
	}
	return nil
}
