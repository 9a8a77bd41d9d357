package scsi

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

	// Set by whoever ends the task.

	Status     Status
	Sense      Sense // meaningful when Status is CheckCondition
	WouldBlock bool  // not ended: Execute it again with MayBlock

	aborted bool // see Abort
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

// LUN is a logical unit number in its simple form: 0 to 16383. The eight byte
// form of SAM-5 4.7 is a matter of the transport (see ParseLUN).
type LUN uint16

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
