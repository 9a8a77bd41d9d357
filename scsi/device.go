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
	// NexusLost says that p's I_T nexus is gone (SAM-5 6.3.4).
	NexusLost(p *Path)
}

// Conditioner is a Device that is not always ready: its medium is out, it is
// stopped, or it is busy with itself.
type Conditioner interface {
	// Condition is what TEST UNIT READY fails with and REQUEST SENSE tells;
	// false when the device is ready.
	Condition() (Sense, bool)
}

// Moder is a Device with mode pages of its own, beyond the Control and the
// Informational Exceptions Control page that Unit has.
type Moder interface {
	// ModePages lists the pages. It is read once, when the Unit is made.
	ModePages() []ModePage
	// ModeParameter is the DEVICE-SPECIFIC PARAMETER of the mode parameter
	// header (SBC-4 6.5.1). Unit adds the WP bit (80h) for paths that are
	// read-only and for SWP; the device sets it if it is read-only itself.
	ModeParameter() byte
	// BlockDescriptor appends the mode parameter block descriptor to b: 8
	// bytes, or 16 for a long one (SBC-4 6.5.2). It appends nothing if the
	// type has none. MODE SELECT accepts only the same block length.
	BlockDescriptor(b []byte, long bool) []byte
}

// ModePage is a mode page that a Device has. Its bodies are without the two
// (with Sub: four) byte header.
type ModePage struct {
	Code, Sub byte
	Default   []byte // default values; also after every reset
	Mask      []byte // a bit for each bit that MODE SELECT may change; as long as Default
	// Check looks at a body that MODE SELECT would set and returns the offset
	// of the byte in it that cannot be; -1 if all is well. Nil: all is well.
	Check func(body []byte) int
	// Changed says that body holds now: after MODE SELECT (it may wait for the
	// device) and after a reset. If it fails so does the MODE SELECT. Nil: the
	// device does not care.
	Changed func(body []byte) error
}

// Logger is a Device with log pages.
type Logger interface {
	// LogPages lists the page codes, ascending, without 00h and 2Fh.
	LogPages() []byte
	// LogPage appends a page's parameters (without the 4 byte header) to b.
	LogPage(page byte, b []byte) []byte
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

	// Finish goes on with a command whose Offload the transport has carried
	// out, or, if moved is false, has not: then it is as if Do had found that
	// it would have to wait. Nil if Do makes no offloads.
	Finish func(t *Task, moved bool)
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
	// InStandby: also served in standby state, but not in unavailable state
	// (SPC-5 5.17.2.4.4).
	InStandby

	// notReserved6: allowed by every persistent reservation, but not by
	// another nexus's RESERVE(6) (SPC-2 table 10).
	notReserved6
)
