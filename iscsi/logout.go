package iscsi

import (
	"time"

	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// logout carries out a Logout Request (RFC 7143 11.14). With one connection a
// session, closing either is the same.
func (c *connection) logout(h *wire.BHS) error {
	response := byte(wire.LogoutDone)
	switch {
	case h.Reason() == wire.LogoutForRecovery:
		response = wire.LogoutRecoveryNotSupported
	case h.Reason() > wire.LogoutForRecovery:
		c.reject(h, wire.RejectInvalidField)
		return nil
	case h.Reason() == wire.LogoutCloseConnection && h.CID() != c.session.login.CID:
		response = wire.LogoutNoCID
	}
	// What the initiator asked for before is answered before, or has ended:
	// nothing of this session reaches a unit after the answer, when the
	// initiator may have logged in anew (RFC 7143 11.14).
	if response == wire.LogoutDone {
		c.loggedOut = true
		c.abortTasks(scsi.AllLUNs, nil)
	}
	for (c.barrier > 0 || c.loggedOut && c.busy(scsi.AllLUNs, nil)) && !c.tx.closed {
		c.flush()
		c.waitFor(&c.ended)
	}
	pdu := c.reserve(0)
	r := wire.LogoutResponse{Response: response, ITT: h.ITT(), Seq: c.nextStatus()}
	r.Put(wire.View(pdu))
	c.finishPDU(pdu, 0, 0)
	if response != wire.LogoutDone {
		return nil
	}
	return errLoggedOut
}

// logoutPatience is how long an initiator has to take what was sent to it
// before it logged out.
const logoutPatience = 5 * time.Second

// finish waits until the answers are sent, after a logout.
func (c *connection) finish() {
	stop := time.AfterFunc(logoutPatience, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tx.close()
	})
	defer stop.Stop()
	for c.tx.queued > 0 && !c.tx.closed {
		c.waitForSpace()
	}
}

// requestLogout asks the initiator to log out within d, with an Asynchronous
// Message (RFC 7143 11.9.1).
func (c *connection) requestLogout(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tx.closed || c.loggedOut {
		return
	}
	pdu := c.reserve(0)
	a := wire.Async{Event: wire.AsyncLogoutRequest, Seq: c.nextStatus()}
	a.Parameters[2] = uint16(min(d/time.Second, 0xffff))
	a.Put(wire.View(pdu))
	c.finishPDU(pdu, 0, 0)
	c.flush()
}
