package scsi

// Device is what makes a logical unit a disk, a CD-ROM, a tape or a changer:
// the commands of its own type, and its share of the answers that every type
// gives. Packages disk, cdrom, tape and changer each have one.
//
// A Device is used by many goroutines at once.
type Device interface {
	// Type is the peripheral device type (SPC-5 table 150): 0 for a disk.
	Type() byte
	// Removable says that the medium can be taken out (the RMB bit).
	Removable() bool
	// Commands lists what the device serves beyond the commands that Unit
	// serves for all types. It is read once, when the Unit is made.
	Commands() []Command
	// VPD appends the body (without the 4 byte header) of a vital product data
	// page of the device's type and says whether there is one. Unit itself
	// serves 00h, 80h, 83h, 86h.
	VPD(page byte, body []byte) ([]byte, bool)
	// VPDPages lists the pages that VPD serves, ascending.
	VPDPages() []byte
	// Versions lists the version descriptors of the standards that the
	// device's type follows (SPC-5 6.6.2), for instance SBC-4.
	Versions() []uint16
	// Reset is a logical unit reset (SAM-5 6.3.3): a medium removal that was
	// prevented is allowed again, and so on.
	Reset()
	// NexusLost says that initiator port n is gone (SAM-5 6.3.4).
	NexusLost(p *Path)
}

// Command is one row of a device's command table. The table serves dispatch,
// REPORT SUPPORTED OPERATION CODES and the reservation checks, so that they
// cannot disagree.
type Command struct {
	Name      string
	Op        byte
	Action    uint16 // service action, if HasAction
	HasAction bool

	// Usage is the CDB usage data (SPC-5 6.29.3): a bit for each bit of the
	// CDB that the device looks at. Its length is the CDB's. Byte 0 is Op; the
	// service action field holds the action.
	Usage []byte

	// Access is what the command needs from reservations and from the access
	// state of its target port.
	Access Access

	// Parse checks the CDB before data moves and sets t.OutLen and t.InLen.
	// It ends the task with Fail if the CDB cannot be served. Nil: no data.
	Parse func(t *Task)

	// Do carries the command out: t.Status is Good unless it says otherwise.
	// It must not wait for a device unless t.MayBlock; if it would, it sets
	// t.WouldBlock and returns, and is called again with MayBlock.
	Do func(t *Task)
}

// Access classes a command for the gates of a Path: which reservations stop it
// (SPC-5 table 66, SBC-4 table 13) and which target port states.
type Access uint16

// Access bits.
const (
	// ReadsMedium: stopped by exclusive access reservations of others.
	ReadsMedium Access = 1 << iota
	// WritesMedium: stopped by every reservation of others.
	WritesMedium
	// NoReservation: never stopped by a reservation (INQUIRY, REPORT LUNS, ...).
	NoReservation
	// AnyState: also served by a target port group in standby or unavailable
	// state (SPC-5 5.17.2.4).
	AnyState
	// KeepsAttention: does not report and clear a unit attention (INQUIRY,
	// REPORT LUNS, REQUEST SENSE; SAM-5 5.14.6).
	KeepsAttention
)
