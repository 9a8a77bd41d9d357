package scsi

import "sync/atomic"

// Task is one SCSI command on its way through a logical unit (SAM-5 4.5).
//
// The transport owns and reuses Tasks; nobody keeps one after its status was
// sent. The zero value with CDB, LUN and Transfer set is ready for Admit.
type Task struct {
	// Set by the transport.

	CDB      []byte   // the whole CDB, 6 to 260 bytes; valid until the task ends
	LUN      LUN      // as the initiator addressed it
	Attr     TaskAttr // task attribute (SAM-5 8.6)
	Transfer Transfer // takes Data-In
	Expected uint32   // bytes the initiator made room for, in the direction of the command
	MayBlock bool     // Do may wait for a device; otherwise it sets WouldBlock and returns
	// MaxOffload is how long a transfer the transport would carry out for the
	// device now, in bytes; 0: none.
	MaxOffload int

	// Set by Admit; read by the transport and the device.

	Path    *Path    // the I_T_L nexus; nil when the LUN leads nowhere
	Command *Command // what the CDB asks for; nil if Admit ended the task
	OutLen  int      // bytes of Data-Out that the CDB asks the initiator for
	InLen   int      // bytes of Data-In that the CDB asks for, before any are cut for want of room

	// Out is the Data-Out, gathered by the transport before Execute:
	// min(OutLen, Expected) bytes. Its length is what the initiator sent.
	Out []byte

	// Moved is how much of a restartable command is done. A command that ran
	// into WouldBlock is run again from the start of Do with Moved as it was.
	Moved int

	// Mark is a note of the device's own, kept as Moved is.
	Mark uint64

	// Set by whoever ends the task.

	Status     Status
	Sense      Sense // meaningful when Status is CheckCondition
	WouldBlock bool  // not ended: Execute it again with MayBlock
	// Offload may be set with WouldBlock: the transport may then carry it out
	// and call Finish, instead of Execute.
	Offload Offload

	aborted  atomic.Bool // see Abort
	detached atomic.Bool // see Detached
	nexus    *Nexus
	lined    bool // admitted through the path's line (order.go)
	place    place
}

// Abort marks t as aborted by task management: its status is not sent, and a
// command that is under way ends soon. It is the transport's to call, with
// everything else that an abort asks of it.
func (t *Task) Abort() { t.aborted.Store(true) }

// Aborted says that nobody waits for t any more. Commands that take long look
// at it between their steps.
func (t *Task) Aborted() bool { return t.aborted.Load() }

// Detached says that t is still under way but is done with the unit: who waits
// for aborted tasks need not wait for this one (and must not: it may itself be
// waiting for the tasks of others).
func (t *Task) Detached() bool { return t.detached.Load() }

// Nexus is the I_T nexus that t came through.
func (t *Task) Nexus() *Nexus { return t.nexus }

// Offload is one transfer between a device's store and a task's data. While it
// is under way the device counts the task among those that use it.
type Offload struct {
	FD    int // see backing.Async
	Off   int64
	Len   int // bytes: all of the task's Data-In, or of Out; 0: there is none
	Write bool
}

// Transfer takes a task's Data-In towards the initiator. Each transport has
// one. It belongs to a single task and is used by one goroutine at a time.
type Transfer interface {
	// Room returns a buffer for the task's next bytes of Data-In, between 1
	// and n bytes long, or nil if nobody waits for them any more (the task was
	// aborted, its connection is gone, or the initiator made no more room: the
	// rest is then a residual overflow). A device fills it from its store
	// without a copy in between and says how far with Sent.
	Room(n int) []byte
	// Sent says that the first n bytes of the last Room are Data-In.
	Sent(n int)
}

// PromptTransfer is a Transfer whose Room may have to wait until the initiator
// has read what was sent before. A device that holds something which others
// wait for asks TryRoom first: an initiator that does not read must not hold up
// anybody but itself.
type PromptTransfer interface {
	Transfer
	// TryRoom is Room if that need not wait, else it returns nil and true.
	TryRoom(n int) (room []byte, wait bool)
}

// TaskAttr is a task attribute (SAM-5 8.6), coded as iSCSI codes it
// (RFC 7143 11.3.1).
type TaskAttr byte

// Task attributes.
const (
	Untagged TaskAttr = iota
	Simple
	Ordered
	HeadOfQueue
	ACA
)

// Status is a SCSI status byte (SAM-5 5.3.1).
type Status byte

// Status codes.
const (
	Good                Status = 0x00
	CheckCondition      Status = 0x02
	ConditionMet        Status = 0x04
	Busy                Status = 0x08
	ReservationConflict Status = 0x18
	TaskSetFull         Status = 0x28
	ACAActive           Status = 0x30
	TaskAborted         Status = 0x40
)

// Reset makes t ready for another command; the transport sets its part after.
func (t *Task) Reset() { *t = Task{} }

// Reply sends p as the task's Data-In, cut to the allocation length limit
// (SPC-5 4.2.5.6): the rest of p is dropped in silence, as the standard wants.
// It sets InLen to what is left of p, so that the transport can tell residuals.
func (t *Task) Reply(p []byte, limit int) {
	if len(p) > limit {
		p = p[:limit]
	}
	t.InLen = len(p)
	for len(p) > 0 {
		room := t.Transfer.Room(len(p))
		if room == nil {
			return
		}
		n := copy(room, p)
		t.Transfer.Sent(n)
		p = p[n:]
	}
}

// Fail ends t with CHECK CONDITION and the sense given.
func (t *Task) Fail(s Sense) {
	t.Status, t.Sense = CheckCondition, s
}

// AppendSense appends t's sense data to b, in the format that the unit's
// D_SENSE bit asks for (SPC-5 7.5.10).
func (t *Task) AppendSense(b []byte) []byte {
	return t.Sense.Encode(b, t.Path != nil && t.Path.Unit.mode.descriptorSense())
}
