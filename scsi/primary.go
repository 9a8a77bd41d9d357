package scsi

import "encoding/binary"

// maxReply bounds the Data-In of the commands in this package; allocation
// lengths above it mean as much.
const maxReply = 1 << 20

// primary are the commands that every device type shares (SPC-5 6).
func (u *Unit) primary() []Command {
	const everywhere = NoReservation | AnyState
	rows := []Command{
		{Name: "TEST UNIT READY", Op: 0x00, Usage: []byte{0, 0, 0, 0, 0, 0x04},
			Access: NoReservation | notReserved6, Do: testUnitReady},
		{Name: "REQUEST SENSE", Op: 0x03, Usage: []byte{0x03, 0x01, 0, 0, 0xff, 0x04},
			Access: everywhere | KeepsAttention, Parse: parseRequestSense, Do: requestSense},
		{Name: "INQUIRY", Op: 0x12, Usage: []byte{0x12, 0x01, 0xff, 0xff, 0xff, 0x04},
			Access: everywhere | KeepsAttention, Parse: parseInquiry, Do: inquiry},
		{Name: "REPORT LUNS", Op: 0xa0, Usage: []byte{0xa0, 0, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0x04},
			Access: everywhere | KeepsAttention, Parse: parseReportLUNs, Do: reportLUNs},
	}
	for _, more := range [][]Command{u.modeCommands(), u.logCommands(), u.reportCommands(),
		u.accessCommands(), u.reserveCommands(), u.persistCommands()} {
		rows = append(rows, more...)
	}
	return rows
}

func testUnitReady(t *Task) {
	if c, ok := t.Path.Unit.device.(Conditioner); ok {
		if s, bad := c.Condition(); bad {
			t.Fail(s)
		}
	}
}

func parseRequestSense(t *Task) { t.InLen = int(t.CDB[4]) }

// requestSense reports, as data, the next unit attention, else the condition
// that the device is in, else nothing (SPC-5 6.39). It ends with GOOD.
func requestSense(t *Task) {
	var s Sense
	if code, ok := t.Path.nextAttention(); ok {
		s = Sense{Key: UnitAttention, Code: code}
	} else if c, ok := t.Path.Unit.device.(Conditioner); ok {
		if now, bad := c.Condition(); bad {
			s = now
		}
	}
	t.Reply(s.Encode(nil, t.CDB[1]&1 != 0), t.InLen)
}

// allocation16 is the Parse of commands with a two byte ALLOCATION LENGTH at at.
func allocation16(at int) func(*Task) {
	return func(t *Task) { t.InLen = int(binary.BigEndian.Uint16(t.CDB[at:])) }
}

// allocation32 is the same with four bytes.
func allocation32(at int) func(*Task) {
	return func(t *Task) { t.InLen = int(min(binary.BigEndian.Uint32(t.CDB[at:]), maxReply)) }
}
