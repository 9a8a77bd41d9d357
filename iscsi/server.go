package iscsi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/esos-project/esos/iscsi/login"
)

// Server serves iSCSI targets through portals.
type Server struct {
	options Options
	log     *slog.Logger
	began   time.Time
	pools   *pools
	budget  budget

	rejected atomic.Uint64 // Reject PDUs sent
	lively   atomic.Int32  // connections whose initiators come back soon; see vigil
	vigils   int           // if more than so many are, none of them stays awake
	newQueue func(n int) (queue, error)

	mu       sync.Mutex // a connection's lock is never taken while holding it
	portals  map[string]*portal
	targets  map[string]*target // by normalized name
	discover func(initiator string) login.Auth
	sessions map[uint16]*session
	byKey    map[sessionKey]*session
	lastTSIH uint16
	guests   map[string]int // connections in the login phase, by address
	nguests  int
	closing  bool

	hungry struct { // connections with commands that wait for memory
		sync.Mutex
		waiting atomic.Int32
		conns   []*connection
	}

	stop chan struct{}
	all  sync.WaitGroup // every goroutine of the server
}

// Options say how a server behaves. What is zero has a default.
type Options struct {
	Log *slog.Logger
	// Events is told of what happens: from many goroutines, which it must not
	// hold up. Nil: nobody is.
	Events func(Event)

	// LoginTimeout is how long a login may take; 15 seconds.
	LoginTimeout time.Duration
	// MaxLogins and MaxLoginsPerAddress bound the connections that are not
	// logged in yet; 256 and 64. Others are closed as they come.
	MaxLogins           int
	MaxLoginsPerAddress int
	// DiscoveryTimeout is how long a discovery session may be idle; a minute.
	DiscoveryTimeout time.Duration
	// MaxSessions bounds the sessions of all targets; 1024.
	MaxSessions int
	// MaxRecvDataSegmentLength bounds what targets offer, and is the size of
	// receive buffers; 256 KiB.
	MaxRecvDataSegmentLength int
	// WriteMemory bounds the memory that writes are gathered in, in bytes;
	// 256 MiB. No session gets more than a quarter of it.
	WriteMemory int
	// MaxQueuedBytes is how far an initiator may be behind in reading before
	// nothing more is read from it; 2 MiB.
	MaxQueuedBytes int
	// Workers bounds the commands of a session that wait for devices at a
	// time; 64.
	Workers int
}

func (o Options) completed() Options {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	if o.LoginTimeout <= 0 {
		o.LoginTimeout = 15 * time.Second
	}
	if o.DiscoveryTimeout <= 0 {
		o.DiscoveryTimeout = time.Minute
	}
	def(&o.MaxLogins, 256)
	def(&o.MaxLoginsPerAddress, 64)
	def(&o.MaxSessions, 1024)
	o.MaxSessions = min(o.MaxSessions, 1<<15) // there must be a free TSIH
	def(&o.MaxRecvDataSegmentLength, 256<<10)
	o.MaxRecvDataSegmentLength = min(max(o.MaxRecvDataSegmentLength, 8<<10), 8<<20)
	def(&o.WriteMemory, 256<<20)
	def(&o.MaxQueuedBytes, 2<<20)
	def(&o.Workers, 64)
	return o
}

// sessionBudget is how much of the memory for gathered writes a session may
// have.
func (o *Options) sessionBudget() int { return o.WriteMemory / 4 }

// Event is something that happened.
type Event struct {
	Kind      EventKind
	Initiator string // as far as it is known
	Target    string // empty: discovery
	Address   string // of the initiator
	Session   string // ID
	Message   string // a sentence for people
}

// EventKind says what happened.
type EventKind string

// Kinds of events. Discovery sessions make none when they open and close.
const (
	SessionOpened EventKind = "session.opened"
	SessionClosed EventKind = "session.closed"
	LoginRefused  EventKind = "login.refused"
)

// Errors that callers may tell apart.
var (
	ErrNoSession = errors.New("iscsi: no such session")
	ErrClosed    = errors.New("iscsi: server is shut down")
)

// NewServer makes a server without portals and targets.
func NewServer(o Options) *Server {
	o = o.completed()
	s := &Server{
		options:  o,
		log:      o.Log,
		began:    time.Now(),
		portals:  map[string]*portal{},
		targets:  map[string]*target{},
		sessions: map[uint16]*session{},
		byKey:    map[sessionKey]*session{},
		guests:   map[string]int{},
		stop:     make(chan struct{}),
		vigils:   runtime.GOMAXPROCS(0) - 1,
		newQueue: newQueue,
	}
	// A whole PDU fits behind what is left of the one before.
	s.pools = newPools(2*o.MaxRecvDataSegmentLength + 2*pduOverhead)
	s.budget.limit = int64(o.WriteMemory)
	s.all.Add(1)
	go s.tend()
	return s
}

// tend looks after the connections about every second.
func (s *Server) tend() {
	defer s.all.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			now := s.clock()
			for _, x := range s.list() {
				x.conn.tend(now)
			}
		}
	}
}

// Shutdown closes the portals, asks the initiators to log out, and closes what
// is left when ctx ends. It returns when nothing of the server runs any more.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return ErrClosed
	}
	s.closing = true
	portals := s.portals
	s.portals = map[string]*portal{}
	s.mu.Unlock()
	for _, p := range portals {
		p.stopListening()
	}
	patience := time.Minute
	if d, ok := ctx.Deadline(); ok {
		patience = time.Until(d)
	}
	for _, x := range s.list() {
		x.conn.requestLogout(patience)
	}
	check := time.NewTicker(20 * time.Millisecond)
	defer check.Stop()
	for len(s.those(func(x *session) bool { return !x.login.Discovery })) > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-check.C:
		}
	}
	for _, p := range portals {
		p.closeAll("the server shuts down")
	}
	close(s.stop)
	s.all.Wait()
	return nil
}

// starve notes that c has commands that wait for memory.
func (s *Server) starve(c *connection) {
	s.hungry.Lock()
	if slices.Contains(s.hungry.conns, c) {
		s.hungry.Unlock()
		return
	}
	s.hungry.conns = append(s.hungry.conns, c)
	s.hungry.waiting.Add(1)
	s.hungry.Unlock()
	if s.budget.used.Load() == 0 {
		// All was given back before anybody could know that c waits.
		s.feedNext()
	}
}

// giveBack returns memory of gathered writes; who waits for some gets it.
func (s *Server) giveBack(n int) {
	s.budget.give(n)
	s.feedNext()
}

// feedNext lets the connection that has waited longest for memory have some.
func (s *Server) feedNext() {
	if s.hungry.waiting.Load() == 0 {
		return
	}
	s.hungry.Lock()
	defer s.hungry.Unlock()
	if len(s.hungry.conns) == 0 {
		return
	}
	c := s.hungry.conns[0]
	s.hungry.conns = s.hungry.conns[1:]
	s.hungry.waiting.Add(-1)
	s.feed(c)
}

// feed has c look whether there is memory for its commands.
func (s *Server) feed(c *connection) {
	s.all.Add(1)
	go func() {
		defer s.all.Done()
		c.feed()
	}()
}

// host is an address without its port.
func host(a net.Addr) string {
	h, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return h
}
