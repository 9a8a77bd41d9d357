package scsi

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Bits of the CDBs of MODE SENSE and MODE SELECT (SPC-5 6.13 to 6.16).
const (
	modeSenseDBD    = 0x08
	modeSenseLLBAA  = 0x10
	modeSelectPF    = 0x10
	modeSelectSP    = 0x01
	modeHeaderLong  = 0x01 // LONGLBA
	modeHeaderWP    = 0x80 // of the DEVICE-SPECIFIC PARAMETER
	maxModeList     = 4096 // longest parameter list of MODE SELECT that we take
	opModeSense6    = 0x1a
	opModeSense10   = 0x5a
	opModeSelect6   = 0x15
	opModeSelect10  = 0x55
	modeHeaderSize6 = 4
)

func (u *Unit) modeCommands() []Command {
	const access = InStandby
	return []Command{
		{Name: "MODE SELECT(6)", Op: opModeSelect6, Usage: []byte{opModeSelect6, 0x11, 0, 0, 0xff, 0x04},
			Access: access, Parse: parseModeSelect, Do: modeSelect},
		{Name: "MODE SENSE(6)", Op: opModeSense6, Usage: []byte{opModeSense6, 0x08, 0xff, 0xff, 0xff, 0x04},
			Access: access, Parse: func(t *Task) { t.InLen = int(t.CDB[4]) }, Do: modeSense},
		{Name: "MODE SELECT(10)", Op: opModeSelect10, Usage: []byte{opModeSelect10, 0x11, 0, 0, 0, 0, 0, 0xff, 0xff, 0x04},
			Access: access, Parse: parseModeSelect, Do: modeSelect},
		{Name: "MODE SENSE(10)", Op: opModeSense10, Usage: []byte{opModeSense10, 0x18, 0xff, 0xff, 0, 0, 0, 0xff, 0xff, 0x04},
			Access: access, Parse: allocation16(7), Do: modeSense},
	}
}

// modeSense serves MODE SENSE(6) and (10).
func modeSense(t *Task) {
	m := &t.Path.Unit.mode
	ten := t.CDB[0] == opModeSense10
	pc, code, sub := t.CDB[2]>>6, t.CDB[2]&0x3f, t.CDB[3]
	if pc == 3 {
		t.Fail(Sense{Key: IllegalRequest, Code: SavingParametersNotSupported})
		return
	}
	if code == pageAll && sub != 0 && sub != subpageAll {
		t.Fail(InvalidField(3))
		return
	}
	var parameter byte
	if m.moder != nil {
		parameter = m.moder.ModeParameter()
	}
	if t.Path.gate.Load()&gateReadOnly != 0 {
		parameter |= modeHeaderWP
	}
	b := []byte{0, 0, parameter, 0}
	if ten {
		b = []byte{0, 0, 0, parameter, 0, 0, 0, 0}
	}
	header := len(b)
	if t.CDB[1]&modeSenseDBD == 0 && m.moder != nil {
		long := ten && t.CDB[1]&modeSenseLLBAA != 0
		b = m.moder.BlockDescriptor(b, long)
		if n := len(b) - header; ten {
			binary.BigEndian.PutUint16(b[6:], uint16(n))
			if long && n > 0 {
				b[4] |= modeHeaderLong
			}
		} else {
			b[3] = byte(n)
		}
	}
	b, found := m.appendPages(b, pc, code, sub)
	if !found {
		at := 2
		if sub != 0 {
			at = 3
		}
		t.Fail(InvalidField(at))
		return
	}
	if ten {
		binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	} else {
		b = b[:min(len(b), 256)]
		b[0] = byte(len(b) - 1)
	}
	t.Reply(b, t.InLen)
}

func parseModeSelect(t *Task) {
	t.OutLen = int(t.CDB[4])
	if t.CDB[0] == opModeSelect10 {
		t.OutLen = int(binary.BigEndian.Uint16(t.CDB[7:]))
	}
	switch {
	case t.CDB[1]&modeSelectSP != 0:
		t.Fail(Sense{Key: IllegalRequest, Code: InvalidFieldInCDB, HasField: true, InCDB: true, Field: 1, HasBit: true})
	case t.CDB[1]&modeSelectPF == 0 && t.OutLen > 0: // a format of before SCSI-2
		t.Fail(Sense{Key: IllegalRequest, Code: InvalidFieldInCDB, HasField: true, InCDB: true, Field: 1, HasBit: true, Bit: 4})
	case t.OutLen > maxModeList:
		t.Fail(Sense{Key: IllegalRequest, Code: ParameterListLengthError})
	}
}

// modeSelect serves MODE SELECT(6) and (10): all of the list is checked before
// any of it holds.
func modeSelect(t *Task) {
	if t.OutLen == 0 {
		return
	}
	if !t.MayBlock { // the device may have to write what is in its cache
		t.WouldBlock = true
		return
	}
	u := t.Path.Unit
	m := &u.mode
	m.mu.Lock()
	bodies, why := m.parse(t.Out, t.OutLen, t.CDB[0] == opModeSelect10)
	if why.Key != NoSense {
		m.mu.Unlock()
		t.Fail(why)
		return
	}
	changed, err := m.apply(bodies)
	m.mu.Unlock()
	if err != nil {
		t.Fail(Sense{Key: HardwareError, Code: InternalTargetFailure})
	}
	if changed {
		u.mu.Lock()
		u.regateAll()
		u.attention(ModeParametersChanged, t.Path)
		u.mu.Unlock()
	}
}

// parse reads the parameter list of MODE SELECT: the bodies to set, or why
// not. The caller holds mu.
func (m *mode) parse(list []byte, want int, ten bool) (map[*modePage][]byte, Sense) {
	short := Sense{Key: IllegalRequest, Code: ParameterListLengthError}
	header, long := modeHeaderSize6, false
	if ten {
		header = 8
	}
	if len(list) < want || len(list) < header {
		return nil, short
	}
	descriptor := int(list[3])
	if ten {
		descriptor, long = int(binary.BigEndian.Uint16(list[6:])), list[4]&modeHeaderLong != 0
	}
	if len(list) < header+descriptor {
		return nil, short
	}
	if descriptor > 0 && !m.sameBlocks(list[header:header+descriptor], long) {
		return nil, InvalidParameter(header)
	}
	bodies := map[*modePage][]byte{}
	for at := header + descriptor; at < len(list); {
		p, start, size := m.header(list[at:])
		if p == nil || size != len(p.Default) {
			if start == 0 {
				return nil, short
			}
			return nil, InvalidParameter(at)
		}
		start += at
		if start+size > len(list) {
			return nil, short
		}
		body := list[start : start+size]
		base := p.current
		if earlier, ok := bodies[p]; ok {
			base = earlier
		}
		for i := range body {
			if (body[i]^base[i])&^p.Mask[i] != 0 {
				return nil, InvalidParameter(start + i)
			}
		}
		if p.Check != nil {
			if i := p.Check(body); i >= 0 {
				return nil, InvalidParameter(start + i)
			}
		}
		bodies[p] = slices.Clone(body)
		at = start + size
	}
	return bodies, Sense{}
}

// header reads a page header: the page (nil if there is none), where its body
// starts (0 if the header is cut off) and how long the body is.
func (m *mode) header(b []byte) (p *modePage, start, size int) {
	switch spf := b[0]&0x40 != 0; {
	case !spf && len(b) >= 2:
		return m.find(b[0]&0x3f, 0), 2, int(b[1])
	case spf && len(b) >= 4:
		if b[1] == 0 {
			return nil, 4, 0
		}
		return m.find(b[0]&0x3f, b[1]), 4, int(binary.BigEndian.Uint16(b[2:]))
	}
	return nil, 0, 0
}

// sameBlocks says whether a block descriptor describes the medium as it is:
// the block length may be repeated, not changed, and so may the number of
// blocks; 0 and all ones there mean "as it is".
func (m *mode) sameBlocks(d []byte, long bool) bool {
	if m.moder == nil {
		return false
	}
	now := m.moder.BlockDescriptor(nil, long)
	if len(now) != len(d) {
		return false
	}
	count, length := 4, 5
	if long {
		count, length = 8, 12
	}
	blocks := d[:count]
	return bytes.Equal(now[length:], d[length:]) &&
		(bytes.Equal(blocks, now[:count]) || allBytes(blocks, 0) || allBytes(blocks, 0xff))
}

func allBytes(b []byte, v byte) bool {
	for _, c := range b {
		if c != v {
			return false
		}
	}
	return true
}
