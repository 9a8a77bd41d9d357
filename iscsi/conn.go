package iscsi

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/iscsi/login"
	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// connection is the one connection of a session in the full feature phase.
type connection struct {
	server  *Server
	session *session
	sock    *socket
	params  parameters

	// Lengths of the digests in use, 0 or 4, and the longest Data-In to send.
	headerDigest, dataDigest int
	maxDataIn                int

	// Owned by the receive goroutine.
	in         *buffer // nil while nothing is there to receive
	r, w       int     // in.b[r:w] is received and not yet worked on
	headerSeen bool    // the digest of the header at r was checked
	drained    bool    // the last receive took all that there was: see step
	landing    landing
	err        error // why the connection ends
	stepFn     func(fd uintptr) bool
	vigil      vigil

	lastReceived atomic.Int64 // on the server's clock

	mu        sync.Mutex // see the package comment
	ended     sync.Cond  // an aborted task has ended
	tx        *transmitter
	out       batch // answers of the batch; empty while mu is free
	now       int64 // when the batch was received
	statSN    uint32
	expCmdSN  uint32
	window    uint32 // commands that may be outstanding
	inflight  uint32 // commands outstanding that take a place in the window
	tasks     taskTable
	charged   int       // bytes of the budget for gathered writes
	overdrawn bool      // a command waits for the session to give some back
	held      []heldPDU // by CmdSN
	heldSize  int
	barrier   int // task management functions in progress: commands behind them wait
	loggedOut bool
	lastPing  int64
	pings     uint32
	stuckAt   [2]int // what the queue of answers looked like when tend saw it last

	away     away
	workers  workers
	managing sync.WaitGroup // goroutines of task management
	text     textExchange

	reason atomic.Pointer[string] // why the server ends it
}

// parameters are what was negotiated at login, as the engine needs them.
type parameters struct {
	maxReceive uint32 // data segment that we take
	maxBurst   uint32
	firstBurst uint32
	maxR2T     int
	initialR2T bool
	immediate  bool
}

func newConnection(s *session, sock *socket) *connection {
	c := &connection{server: s.server, session: s, sock: sock, window: s.window,
		statSN: s.login.StatSN, expCmdSN: s.login.CmdSN}
	c.adopt(s.login.Parameters)
	c.ended.L = &c.mu
	c.tx = newTransmitter(&c.mu, sock, c.server.options.MaxQueuedBytes)
	c.tasks.init(int(c.window))
	c.workers.init(c)
	c.stepFn = c.step
	c.lastReceived.Store(c.server.clock())
	return c
}

// adopt takes over what was negotiated.
func (c *connection) adopt(p login.Parameters) {
	c.params = parameters{
		maxReceive: p.MaxRecvDataSegmentLength,
		maxBurst:   p.MaxBurstLength,
		firstBurst: p.FirstBurstLength,
		maxR2T:     int(p.MaxOutstandingR2T),
		initialR2T: p.InitialR2T,
		immediate:  p.ImmediateData,
	}
	if p.HeaderDigest {
		c.headerDigest = wire.DigestLength
	}
	if p.DataDigest {
		c.dataDigest = wire.DigestLength
	}
	c.maxDataIn = min(int(p.MaxSendDataSegmentLength), maxSegment)
}

// Errors that end a connection.
var (
	errLoggedOut = errors.New("the initiator logged out")
	errPeerGone  = errors.New("the initiator closed the connection")
)

// protocolError ends a connection whose initiator broke the protocol in a way
// that a Reject cannot mend.
type protocolError struct{ text string }

func (e protocolError) Error() string { return "protocol error: " + e.text }

func violated(format string, args ...any) error {
	return protocolError{fmt.Sprintf(format, args...)}
}

// serve runs the full feature phase until the connection ends and returns why.
// All of the connection's tasks have ended when it returns.
func (c *connection) serve() error {
	// The loop runs inside a single call of RawConn.Read: it does not clear
	// what the poller noted between two calls of ours, and the descriptor stays
	// valid.
	err := c.sock.in.raw.Read(c.stepFn)
	if c.err != nil {
		err = c.err
	}
	if why := c.reason.Load(); why != nil {
		err = errors.New(*why)
	} else if errors.Is(err, net.ErrClosed) {
		err = errPeerGone
	}
	c.end()
	return err
}

// end waits until no task of the connection runs any more and gives back what
// it holds.
func (c *connection) end() {
	c.server.calm(&c.vigil)
	c.mu.Lock()
	c.tx.close()
	c.abortTasks(scsi.AllLUNs, nil)
	c.mu.Unlock()
	c.sock.shutdown() // wakes drain
	c.mu.Lock()
	c.endAway()
	c.mu.Unlock()
	c.workers.stop()
	c.managing.Wait()
	c.tx.drained.Wait()
	c.mu.Lock()
	if t := c.landing.cmd; t != nil {
		c.landing.cmd = nil
		c.release(t) // nothing is received into its buffer any more
	}
	c.tx.release()
	if c.out.buf != nil {
		c.out.buf.free()
		c.out = batch{}
	}
	c.mu.Unlock()
	if c.in != nil {
		c.in.free()
		c.in = nil
	}
}

// kick ends the connection from outside, for the reason given.
func (c *connection) kick(why string) {
	c.reason.CompareAndSwap(nil, &why)
	c.sock.shutdown()
	c.mu.Lock()
	c.tx.close()
	c.mu.Unlock()
}

// received tells errors of recv apart; nil means that n bytes came.
func received(n int, e syscall.Errno) error {
	switch {
	case e == 0 && n > 0:
		return nil
	case e == 0:
		return errPeerGone
	case e == unix.ECONNRESET || e == unix.EPIPE:
		return fmt.Errorf("%w: %w", errPeerGone, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("receive from the initiator: %w", e)
}

// clock is the time since the server began, in nanoseconds.
func (s *Server) clock() int64 { return int64(time.Since(s.began)) }
