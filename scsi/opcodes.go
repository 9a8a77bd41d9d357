package scsi

import "encoding/binary"

// Operation codes whose service actions several files here have.
const (
	maintenanceIn  = 0xa3
	maintenanceOut = 0xa4
)

func (u *Unit) reportCommands() []Command {
	return []Command{
		{Name: "REPORT SUPPORTED OPERATION CODES", Op: maintenanceIn, Action: 0x0c, HasAction: true,
			Usage: []byte{maintenanceIn, 0x0c, 0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0x04},
			Parse: allocation32(6), Do: reportOpcodes},
		{Name: "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", Op: maintenanceIn, Action: 0x0d, HasAction: true,
			Usage: []byte{maintenanceIn, 0x0d, 0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0x04},
			Parse: parseReportTMFs, Do: reportTMFs},
	}
}

// Bits of command descriptors (SPC-5 6.34).
const (
	descriptorServactv = 0x01
	descriptorCTDP     = 0x02
	oneCommandCTDP     = 0x80
	supportNone        = 0x01 // not supported
	supportStandard    = 0x03 // supported as the standard says
)

// reportOpcodes serves REPORT SUPPORTED OPERATION CODES (SPC-5 6.34) from the
// table that commands are dispatched by.
func reportOpcodes(t *Task) {
	u := t.Path.Unit
	timeouts := t.CDB[2]&0x80 != 0
	op, action := t.CDB[3], binary.BigEndian.Uint16(t.CDB[4:])
	e := u.ops[op]
	var c *Command
	switch t.CDB[2] & 0x07 {
	case 0:
		t.Reply(u.allCommands(timeouts), t.InLen)
		return
	case 1: // an operation code without service actions
		if e != nil && e.command == nil {
			t.Fail(InvalidField(2))
			return
		}
		if e != nil {
			c = e.command
		}
	case 2: // one with
		if e != nil && e.actions == nil {
			t.Fail(InvalidField(2))
			return
		}
		if e != nil {
			c = e.actions[action]
		}
	case 3: // either; without service actions the field has to be zero
		if e != nil {
			c = e.actions[action]
			if e.command != nil && action == 0 {
				c = e.command
			}
		}
	default:
		t.Fail(InvalidField(2))
		return
	}
	b := []byte{0, supportNone, 0, 0}
	if c != nil {
		b[1] = supportStandard
		binary.BigEndian.PutUint16(b[2:], uint16(len(c.Usage)))
		b = append(b, c.Usage...)
		b[4] = c.Op
		if timeouts {
			b[1] |= oneCommandCTDP
			b = appendTimeouts(b)
		}
	}
	t.Reply(b, t.InLen)
}

// allCommands is the answer with a descriptor for every command.
func (u *Unit) allCommands(timeouts bool) []byte {
	b := []byte{0, 0, 0, 0}
	for _, c := range u.rows() {
		var flags byte
		if c.HasAction {
			flags |= descriptorServactv
		}
		if timeouts {
			flags |= descriptorCTDP
		}
		b = append(b, c.Op, 0, byte(c.Action>>8), byte(c.Action), 0, flags, byte(len(c.Usage)>>8), byte(len(c.Usage)))
		if timeouts {
			b = appendTimeouts(b)
		}
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// appendTimeouts appends a command timeouts descriptor that recommends no
// timeouts (SPC-5 6.34.4): how long a command takes is the store's affair.
func appendTimeouts(b []byte) []byte {
	return append(b, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
}

func parseReportTMFs(t *Task) {
	allocation32(6)(t)
	if t.InLen < 4 {
		t.Fail(InvalidField(6))
	}
}

// reportTMFs serves REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-5 6.35):
// ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LOGICAL UNIT RESET, TARGET RESET.
func reportTMFs(t *Task) {
	b := []byte{0x80 | 0x40 | 0x10 | 0x08 | 0x02, 0, 0, 0}
	if t.CDB[2]&0x80 != 0 { // REPD: with timeouts, none of which is recommended
		b[3] = 0x0c
		b = append(b, make([]byte, 12)...)
	}
	t.Reply(b, t.InLen)
}
