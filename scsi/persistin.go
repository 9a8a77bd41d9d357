package scsi

import "encoding/binary"

const (
	opPersistentIn  = 0x5e
	opPersistentOut = 0x5f
)

func (u *Unit) persistCommands() []Command {
	const access = NoReservation | notReserved6 | InStandby
	var rows []Command
	for action, name := range []string{"READ KEYS", "READ RESERVATION", "REPORT CAPABILITIES", "READ FULL STATUS"} {
		rows = append(rows, Command{Name: "PERSISTENT RESERVE IN " + name,
			Op: opPersistentIn, Action: uint16(action), HasAction: true,
			Usage:  []byte{opPersistentIn, byte(action), 0, 0, 0, 0, 0, 0xff, 0xff, 0x04},
			Access: access, Parse: allocation16(7), Do: persistentReserveIn})
	}
	for action, name := range []string{"REGISTER", "RESERVE", "RELEASE", "CLEAR", "PREEMPT", "PREEMPT AND ABORT",
		"REGISTER AND IGNORE EXISTING KEY", "REGISTER AND MOVE"} {
		rows = append(rows, Command{Name: "PERSISTENT RESERVE OUT " + name,
			Op: opPersistentOut, Action: uint16(action), HasAction: true,
			Usage:  []byte{opPersistentOut, byte(action), 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x04},
			Access: access, Parse: parsePersistentOut, Do: persistentReserveOut})
	}
	return rows
}

// persistentReserveIn serves PERSISTENT RESERVE IN (SPC-5 6.16).
func persistentReserveIn(t *Task) {
	u := t.Path.Unit
	u.mu.Lock()
	r := u.pr.clone()
	u.mu.Unlock()
	var b []byte
	switch t.CDB[1] & 0x1f {
	case 0:
		b = r.readKeys()
	case 1:
		b = r.readReservation()
	case 2:
		b = r.capabilities(u.store != nil)
	case 3:
		b = r.fullStatus()
	}
	t.Reply(b, t.InLen)
}

// header starts an answer: PRGENERATION and room for ADDITIONAL LENGTH.
func (r *reservation) header() []byte {
	return append(binary.BigEndian.AppendUint32(nil, r.generation), 0, 0, 0, 0)
}

func withLength(b []byte) []byte {
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-8))
	return b
}

func (r *reservation) readKeys() []byte {
	b := r.header()
	for _, k := range r.keys {
		b = binary.BigEndian.AppendUint64(b, k.key)
	}
	return withLength(b)
}

// readReservation tells the reservation; its key is 0 if all registrants hold it.
func (r *reservation) readReservation() []byte {
	b := r.header()
	if r.kind == noReservation {
		return b
	}
	var key uint64
	if i := r.find(r.holder); i >= 0 && !r.kind.allRegistrants() {
		key = r.keys[i].key
	}
	b = binary.BigEndian.AppendUint64(b, key)
	b = append(b, 0, 0, 0, 0, 0, byte(r.kind), 0, 0) // LU_SCOPE
	return withLength(b)
}

// Bits of REPORT CAPABILITIES (SPC-5 6.16.4).
const (
	capPTPL  = 0x01 // persist through power loss
	capATP   = 0x04 // ALL_TG_PT
	capSIP   = 0x08 // SPEC_I_PT
	capTMV   = 0x80 // the type mask is valid
	capPTPLA = 0x01 // persist through power loss is active
)

func (r *reservation) capabilities(persists bool) []byte {
	// All six types: WR_EX_AR, EX_AC_RO, WR_EX_RO, EX_AC, WR_EX; EX_AC_AR.
	b := []byte{0, 8, capSIP | capATP, capTMV, 0xea, 0x01, 0, 0}
	if persists {
		b[2] |= capPTPL
	}
	if r.aptpl {
		b[3] |= capPTPLA
	}
	return b
}

// fullStatus tells every registration (SPC-5 6.16.5).
func (r *reservation) fullStatus() []byte {
	b := r.header()
	for _, k := range r.keys {
		b = binary.BigEndian.AppendUint64(b, k.key)
		var holder, kind byte
		if r.holds(k.nexus) {
			holder, kind = 0x01, byte(r.kind)
		}
		b = append(b, 0, 0, 0, 0, holder, kind, 0, 0, 0, 0, byte(k.nexus.port>>8), byte(k.nexus.port), 0, 0, 0, 0)
		length := len(b) - 4
		b = appendTransportID(b, k.nexus.initiator)
		binary.BigEndian.PutUint32(b[length:], uint32(len(b)-length-4))
	}
	return withLength(b)
}
