package scsi

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Nexus is an I_T nexus (SAM-5 4.7): one initiator port that talks to one
// target port. A transport makes one for each session.
//
// Admit and Execute take no lock that another nexus takes, unless something
// out of the ordinary is pending on the path.
type Nexus struct {
	initiator InitiatorID
	port      *Port
	transport Transport
	luns      atomic.Pointer[LUNMap]

	nowhere *nowhere

	target *Target // whose host group decides the LUN map; nil without one
	group  string

	mu     sync.Mutex // serializes changes of the LUN map
	closed bool
}

// InitiatorID is the name of an initiator port: an iSCSI node name and the
// session's ISID (RFC 7143 4.4, 10.4.4).
type InitiatorID struct {
	Name string
	ISID [6]byte
}

// String is the SCSI name of the initiator port: "iqn...,i,0x0123456789ab".
func (i InitiatorID) String() string { return fmt.Sprintf("%s,i,0x%x", i.Name, i.ISID) }

// Port is a target port. A target has one for each portal group.
type Port struct {
	Name string // target port name, for iSCSI "iqn...,t,0x0001"
	ID   uint16 // relative target port identifier, unique in the array (SPC-5 4.2.2)
	// Peers are the relative identifiers of all ports of the target device,
	// for ALL_TG_PT (SPC-5 6.17.2); this one alone when empty.
	Peers []uint16
}

// Transport is the transport's side of a nexus.
type Transport interface {
	// AbortTasks aborts the nexus's outstanding tasks for lun (AllLUNs: for
	// all) except one (nil: none): it marks them with Task.Abort, sends no
	// status for them (TAS is 0, SPC-5 7.5.10), and returns when none of them
	// will touch the unit again. Tasks that are waiting for data, or that
	// Execute held back, are given to Nexus.Drop. It does not wait for a task
	// that is Detached, and it returns also when the goroutine that it would
	// have to wait for is itself on its way into Nexus.Close.
	AbortTasks(lun LUN, except *Task)
	// Resume takes back a task that Execute held back: it may run now.
	// Resume must not Execute it before it returns; a goroutine of the
	// transport does. It may come for a task that is just being aborted and
	// was given to Drop, so a transport does not use the Task of one that
	// Execute held back for another command.
	Resume(t *Task)
}

// Mapping is a LUN that an initiator sees.
type Mapping struct {
	LUN      LUN
	Unit     *Unit
	ReadOnly bool
}

// NewNexus makes the nexus of an initiator port and a target port. It sees no
// LUN until SetLUNs. A transport whose target has host groups calls
// Target.NewNexus instead.
func NewNexus(initiator InitiatorID, port *Port, tr Transport) *Nexus {
	n := &Nexus{initiator: initiator, port: port, transport: tr, nowhere: newNowhere()}
	n.luns.Store(&LUNMap{})
	return n
}

// Initiator returns the name of the initiator port.
func (n *Nexus) Initiator() InitiatorID { return n.initiator }

// Port returns the target port.
func (n *Nexus) Port() *Port { return n.port }

// Group is the name of the host group that the initiator fell into; empty for
// the target's default map.
func (n *Nexus) Group() string { return n.group }

// LUNMap is what an initiator sees: which LUN leads to which unit. It is never
// changed: a change of configuration makes another one (Nexus.SetLUNs).
type LUNMap struct {
	low  []*Path // by LUN, up to 255
	high map[LUN]*Path
	all  []*Path // ascending by LUN
}

// path finds the path of a LUN, nil if it leads nowhere.
func (m *LUNMap) path(l LUN) *Path {
	if int(l) < len(m.low) {
		return m.low[l]
	}
	return m.high[l]
}

// Path is an I_T_L nexus: a LUN as one initiator reaches it through one
// target port. What is true only between these three lives here: pending unit
// attentions, what reservations allow, the order of tasks, counters.
type Path struct {
	Nexus    *Nexus
	Unit     *Unit
	LUN      LUN
	ReadOnly bool

	// gate is zero when a command may go straight through. Its bits say what
	// has to be looked at first: a unit attention, a reservation, the access
	// state. One atomic load per I/O stands for all of them.
	gate atomic.Uint32
	// inflight counts the tasks that were admitted and have not ended. It is
	// all that ordering (order.go) costs tasks that are SIMPLE.
	inflight atomic.Int32

	mu         sync.Mutex
	attentions []uint16 // pending unit attentions, the next to report first

	line   line
	guests guests

	_        [64]byte // the counters are written per I/O; the gate is read
	counters counters
}

// Active is the number of tasks under way.
func (p *Path) Active() int { return int(p.inflight.Load()) }

// Paths are the paths of the nexus, ascending by LUN. The caller must not
// change the slice.
func (n *Nexus) Paths() []*Path { return n.luns.Load().all }

// SetLUNs makes m what the initiator sees. Paths that m does not change stay
// as they are, tasks and all. Tasks of paths that go are aborted; when SetLUNs
// returns none of them touches its unit any more. If LUNs come or go, the
// initiator is told: REPORTED LUNS DATA HAS CHANGED (SPC-5 6.33).
//
// It may wait for tasks to end, so a transport must not call it from a
// goroutine that tasks need to end.
func (n *Nexus) SetLUNs(m []Mapping) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.setLUNs(m)
	}
}

func (n *Nexus) setLUNs(m []Mapping) {
	old := n.luns.Load()
	next, fresh := newLUNMap(n, old, m)
	var gone []*Path
	for _, p := range old.all {
		if next.path(p.LUN) != p {
			gone = append(gone, p)
		}
	}
	if len(fresh) == 0 && len(gone) == 0 {
		return
	}
	for _, p := range fresh {
		p.Unit.join(p)
	}
	n.luns.Store(next)
	for _, p := range gone {
		p.setGate(gateGone, gateGone)
		p.abortTasks(nil)
		p.Unit.leave(p)
		if n.target != nil {
			n.target.retire(n.group, p)
		}
	}
	if len(old.all) > 0 {
		for _, p := range next.all {
			p.attention(ReportedLUNsDataChanged)
		}
	}
}

// newLUNMap makes the map of m, with the paths of old that m keeps. A second
// mapping of a LUN is dropped, as is a LUN out of range: the configuration
// refuses both.
func newLUNMap(n *Nexus, old *LUNMap, m []Mapping) (next *LUNMap, fresh []*Path) {
	next = &LUNMap{}
	for _, e := range m {
		if e.LUN > MaxLUN || e.Unit == nil || next.path(e.LUN) != nil {
			continue
		}
		p := old.path(e.LUN)
		if p == nil || p.Unit != e.Unit || p.ReadOnly != e.ReadOnly {
			p = &Path{Nexus: n, Unit: e.Unit, LUN: e.LUN, ReadOnly: e.ReadOnly}
			fresh = append(fresh, p)
		}
		next.add(p)
	}
	next.sort()
	return next, fresh
}

func (m *LUNMap) add(p *Path) {
	m.all = append(m.all, p)
	if p.LUN > 0xff {
		if m.high == nil {
			m.high = map[LUN]*Path{}
		}
		m.high[p.LUN] = p
		return
	}
	for int(p.LUN) >= len(m.low) {
		m.low = append(m.low, nil)
	}
	m.low[p.LUN] = p
}

// Close ends the nexus: an I_T nexus loss for every unit that it reached
// (SAM-5 6.3.4). Its tasks are aborted first. A persistent reservation stays;
// one by RESERVE(6) goes.
func (n *Nexus) Close() {
	if n.target != nil {
		n.target.forget(n)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	n.closed = true
	n.setLUNs(nil)
}
