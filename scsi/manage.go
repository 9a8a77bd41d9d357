package scsi

// TMF is a task management function, coded as iSCSI codes it (RFC 7143 11.5.1).
type TMF byte

// Task management functions (SAM-5 7).
const (
	AbortTask        TMF = 1
	AbortTaskSet     TMF = 2
	ClearACA         TMF = 3
	ClearTaskSet     TMF = 4
	LogicalUnitReset TMF = 5
	TargetWarmReset  TMF = 6
	TargetColdReset  TMF = 7
)

// TMFResponse says how a task management function went, coded as iSCSI codes
// it (RFC 7143 11.6.1).
type TMFResponse byte

// Responses.
const (
	FunctionComplete     TMFResponse = 0
	LUNDoesNotExist      TMFResponse = 2
	FunctionNotSupported TMFResponse = 5
	FunctionRejected     TMFResponse = 255
)

// ManageTask carries a task management function out. ABORT TASK, which needs
// to know tags, is the transport's own. lun is ignored by target resets. After
// a TARGET COLD RESET the transport also ends its connections (RFC 7143 11.5.1).
//
// It waits until the tasks in question have ended, those of other nexuses
// too. So a transport calls it from a goroutine that no task needs to end: two
// initiators may reset the same unit at once.
func (n *Nexus) ManageTask(f TMF, lun LUN) TMFResponse {
	switch f {
	case AbortTaskSet, ClearTaskSet, LogicalUnitReset:
	case TargetWarmReset, TargetColdReset:
		for _, p := range n.Paths() {
			p.Unit.reset(PowerOnOrReset)
		}
		return FunctionComplete
	default: // CLEAR ACA: there is no ACA (NORMACA is 0)
		return FunctionNotSupported
	}
	p := n.luns.Load().path(lun)
	if p == nil {
		return LUNDoesNotExist
	}
	if f == LogicalUnitReset {
		p.Unit.reset(BusDeviceReset)
		return FunctionComplete
	}
	// TST is 001b: the task set to clear holds the tasks of this nexus alone
	// (SAM-5 7.5), so clearing it is aborting it, and nobody else is to hear.
	n.transport.AbortTasks(p.LUN, nil)
	return FunctionComplete
}

// reset is a logical unit reset (SAM-5 6.3.3): tasks are aborted, a RESERVE(6)
// is released, mode pages have their default values again. Persistent
// reservations stay. Every initiator hears of it by the attention given.
func (u *Unit) reset(code uint16) {
	for _, p := range u.snapshot() {
		p.abortTasks(nil)
	}
	u.mode.reset()
	u.device.Reset()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reserved6 = nil
	u.regateAll()
	u.attention(code, nil)
}
