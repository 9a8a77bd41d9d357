// Package initiator is a small iSCSI initiator for tests: one command at a
// time over one connection. It lays PDUs out by itself, so that a mistake in
// the target's layout is not made twice and missed.
package initiator

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Options say who logs in where.
type Options struct {
	Address   string // of the portal
	Target    string
	Initiator string
	ISID      uint32 // random part (qualifier) of the ISID; sessions differ by it
	Timeout   time.Duration
}

// Session is a normal session, logged in without authentication.
type Session struct {
	conn      net.Conn
	timeout   time.Duration
	itt       uint32
	cmdSN     uint32
	expStatSN uint32
	maxData   int // data segment that the target takes
	burst     int // MaxBurstLength
	immediate bool
}

// Result is how a command ended.
type Result struct {
	Status byte
	Sense  []byte // without the length that leads it in the PDU
	In     []byte
}

// Key and Code are the sense key and the additional sense code with its
// qualifier, in either format; 0 if there is no sense.
func (r Result) Key() byte {
	k, _ := r.sense()
	return k
}

// Code is described at Key.
func (r Result) Code() uint16 {
	_, c := r.sense()
	return c
}

func (r Result) sense() (key byte, code uint16) {
	s := r.Sense
	switch {
	case len(s) >= 14 && s[0]&0x7e == 0x70:
		return s[2] & 0xf, binary.BigEndian.Uint16(s[12:])
	case len(s) >= 4 && s[0]&0x7e == 0x72:
		return s[1] & 0xf, binary.BigEndian.Uint16(s[2:])
	}
	return 0, 0
}

// StatusError is a command that did not end with GOOD.
type StatusError struct {
	What string
	Result
}

// Error says what ended how.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: status %#02x, sense key %#x, code %#04x", e.What, e.Status, e.Key(), e.Code())
}

// RefusedError is a login that the target refused.
type RefusedError struct{ Status uint16 }

// Error names the status class and detail.
func (e *RefusedError) Error() string { return fmt.Sprintf("login refused: status %#04x", e.Status) }

// PDU types (RFC 7143 11.1).
const (
	opNopOut   = 0x00
	opCommand  = 0x01
	opLogin    = 0x03
	opDataOut  = 0x05
	opLogout   = 0x06
	opNopIn    = 0x20
	opResponse = 0x21
	opLoginRsp = 0x23
	opDataIn   = 0x25
	opLogoutR  = 0x26
	opR2T      = 0x31
	opAsync    = 0x32
	opReject   = 0x3f
)

// ErrLogoutRequested says that the target asked for a logout, or dropped the
// connection with notice.
var ErrLogoutRequested = errors.New("the target asks to log out")

// Login connects and logs in.
func Login(ctx context.Context, o Options) (*Session, error) {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	d := net.Dialer{Timeout: o.Timeout}
	conn, err := d.DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to portal: %w", err)
	}
	s := &Session{conn: conn, timeout: o.Timeout, maxData: 8192, burst: 262144, immediate: true}
	if err := s.login(o); err != nil {
		conn.Close()
		return nil, fmt.Errorf("log in to %s: %w", o.Target, err)
	}
	return s, nil
}

func (s *Session) login(o Options) error {
	keys := strings.Join([]string{
		"InitiatorName=" + o.Initiator, "TargetName=" + o.Target, "SessionType=Normal",
		"HeaderDigest=None", "DataDigest=None", "InitialR2T=Yes", "ImmediateData=Yes", "MaxBurstLength=262144",
		"FirstBurstLength=65536", "MaxRecvDataSegmentLength=262144", "MaxOutstandingR2T=1", "DefaultTime2Wait=2",
		"DefaultTime2Retain=0", "DataPDUInOrder=Yes", "DataSequenceInOrder=Yes", "ErrorRecoveryLevel=0", "MaxConnections=1", "",
	}, "\x00")
	// Straight into operational negotiation, then into the full feature phase;
	// a target that has more to say stays in the stage and is asked again.
	for text := keys; ; text = "" {
		var h [48]byte
		h[0] = 0x40 | opLogin
		h[1] = 0x80 | 1<<2 | 3 // T, CSG operational, NSG full feature
		h[8] = 0x80            // ISID of format "random"
		binary.BigEndian.PutUint32(h[10:], o.ISID)
		binary.BigEndian.PutUint32(h[24:], s.cmdSN)
		binary.BigEndian.PutUint32(h[28:], s.expStatSN)
		if err := s.send(&h, []byte(text)); err != nil {
			return err
		}
		rsp, data, err := s.receive()
		if err != nil {
			return err
		}
		if rsp[0]&0x3f != opLoginRsp {
			return fmt.Errorf("answer to login is PDU %#02x", rsp[0])
		}
		if status := binary.BigEndian.Uint16(rsp[36:]); status != 0 {
			return &RefusedError{status}
		}
		s.expStatSN = binary.BigEndian.Uint32(rsp[24:]) + 1
		for _, pair := range strings.Split(string(data), "\x00") {
			key, value, _ := strings.Cut(pair, "=")
			n, _ := strconv.Atoi(value)
			switch key {
			case "MaxRecvDataSegmentLength":
				s.maxData = n
			case "MaxBurstLength":
				s.burst = n
			case "ImmediateData":
				s.immediate = value == "Yes"
			}
		}
		if rsp[1]&0x80 != 0 && rsp[1]&3 == 3 {
			return nil
		}
	}
}

// Do runs a command. out is its Data-Out, inLen the room for its Data-In.
func (s *Session) Do(lun uint16, cdb, out []byte, inLen int) (Result, error) {
	s.itt++
	var h [48]byte
	h[0], h[1] = opCommand, 0x80|1 // F, SIMPLE
	expected := inLen
	if len(out) > 0 {
		h[1] |= 0x20
		expected = len(out)
	} else if inLen > 0 {
		h[1] |= 0x40
	}
	putLUN(h[8:], lun)
	binary.BigEndian.PutUint32(h[16:], s.itt)
	binary.BigEndian.PutUint32(h[20:], uint32(expected))
	binary.BigEndian.PutUint32(h[24:], s.cmdSN)
	binary.BigEndian.PutUint32(h[28:], s.expStatSN)
	copy(h[32:48], cdb)
	s.cmdSN++
	var first []byte
	if s.immediate {
		first = out[:min(len(out), s.maxData, 65536)]
	}
	if err := s.send(&h, first); err != nil {
		return Result{}, err
	}
	r := Result{}
	for {
		rsp, data, err := s.receive()
		if err != nil {
			return r, err
		}
		done, err := s.answer(&r, &rsp, data, out, inLen)
		if done || err != nil {
			return r, err
		}
	}
}

// answer takes one PDU of the target's while a command runs.
func (s *Session) answer(r *Result, rsp *[48]byte, data, out []byte, inLen int) (done bool, err error) {
	switch rsp[0] & 0x3f {
	case opDataIn:
		off := int(binary.BigEndian.Uint32(rsp[40:]))
		if off != len(r.In) || off+len(data) > inLen {
			return false, fmt.Errorf("Data-In of %d bytes at %d after %d of %d", len(data), off, len(r.In), inLen)
		}
		r.In = append(r.In, data...)
		if rsp[1]&0x01 == 0 {
			return false, nil
		}
		r.Status = rsp[3]
		s.expStatSN = binary.BigEndian.Uint32(rsp[24:]) + 1
		return true, nil
	case opR2T:
		off, n := int(binary.BigEndian.Uint32(rsp[40:])), int(binary.BigEndian.Uint32(rsp[44:]))
		if off+n > len(out) {
			return false, fmt.Errorf("R2T wants %d bytes at %d of %d", n, off, len(out))
		}
		return false, s.dataOut(rsp, out[off:off+n], off)
	case opResponse:
		s.expStatSN = binary.BigEndian.Uint32(rsp[24:]) + 1
		if rsp[2] != 0 {
			return true, fmt.Errorf("SCSI Response with response code %#02x", rsp[2])
		}
		r.Status = rsp[3]
		if len(data) >= 2 {
			r.Sense = data[2:min(len(data), 2+int(binary.BigEndian.Uint16(data)))]
		}
		return true, nil
	case opNopIn:
		return false, s.pong(rsp)
	case opAsync:
		return true, ErrLogoutRequested
	}
	return true, fmt.Errorf("PDU %#02x, flags %#02x, byte 2 %#02x while a command runs", rsp[0], rsp[1], rsp[2])
}

// dataOut answers an R2T.
func (s *Session) dataOut(r2t *[48]byte, data []byte, off int) error {
	for sn := 0; len(data) > 0; sn++ {
		n := min(len(data), s.maxData)
		var h [48]byte
		h[0] = opDataOut
		if n == len(data) {
			h[1] = 0x80
		}
		copy(h[8:16], r2t[8:16])   // LUN
		copy(h[16:20], r2t[16:20]) // ITT
		copy(h[20:24], r2t[20:24]) // TTT
		binary.BigEndian.PutUint32(h[28:], s.expStatSN)
		binary.BigEndian.PutUint32(h[36:], uint32(sn))
		binary.BigEndian.PutUint32(h[40:], uint32(off))
		if err := s.send(&h, data[:n]); err != nil {
			return err
		}
		data, off = data[n:], off+n
	}
	return nil
}

// pong answers a ping of the target's.
func (s *Session) pong(nop *[48]byte) error {
	if binary.BigEndian.Uint32(nop[20:]) == 0xffffffff {
		return nil // the answer to nothing
	}
	var h [48]byte
	h[0], h[1] = 0x40|opNopOut, 0x80
	copy(h[8:16], nop[8:16])
	binary.BigEndian.PutUint32(h[16:], 0xffffffff)
	copy(h[20:24], nop[20:24])
	binary.BigEndian.PutUint32(h[24:], s.cmdSN)
	binary.BigEndian.PutUint32(h[28:], s.expStatSN)
	return s.send(&h, nil)
}

// Close logs out, if the target still listens, and ends the connection.
func (s *Session) Close() error {
	defer s.conn.Close()
	s.itt++
	var h [48]byte
	h[0], h[1] = 0x40|opLogout, 0x80
	binary.BigEndian.PutUint32(h[16:], s.itt)
	binary.BigEndian.PutUint32(h[24:], s.cmdSN)
	binary.BigEndian.PutUint32(h[28:], s.expStatSN)
	if err := s.send(&h, nil); err != nil {
		return err
	}
	for {
		rsp, _, err := s.receive()
		if err != nil || rsp[0]&0x3f == opLogoutR {
			return err
		}
	}
}

// Abandon ends the connection without a word, as a crash does.
func (s *Session) Abandon() error { return s.conn.Close() }

func (s *Session) send(h *[48]byte, data []byte) error {
	h[5], h[6], h[7] = byte(len(data)>>16), byte(len(data)>>8), byte(len(data))
	b := append(append(make([]byte, 0, 48+len(data)+3), h[:]...), data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	if err := s.conn.SetDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(b)
	return err
}

func (s *Session) receive() (h [48]byte, data []byte, err error) {
	if err := s.conn.SetDeadline(time.Now().Add(s.timeout)); err != nil {
		return h, nil, err
	}
	if _, err := io.ReadFull(s.conn, h[:]); err != nil {
		return h, nil, err
	}
	n := int(h[5])<<16 | int(h[6])<<8 | int(h[7])
	skip := int(h[4]) * 4
	b := make([]byte, skip+(n+3)&^3)
	if _, err := io.ReadFull(s.conn, b); err != nil {
		return h, nil, err
	}
	return h, b[skip : skip+n], nil
}

// putLUN writes the eight byte form of a LUN (SAM-5 4.7).
func putLUN(b []byte, lun uint16) {
	if lun > 255 {
		lun |= 0x4000
	}
	binary.BigEndian.PutUint16(b, lun)
}
