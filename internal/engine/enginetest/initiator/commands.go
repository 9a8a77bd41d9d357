package initiator

import (
	"encoding/binary"
	"fmt"
)

// Sense keys that tests look at.
const (
	KeyUnitAttention = 0x6
	KeyDataProtect   = 0x7
)

// Status codes that tests look at.
const (
	StatusGood                = 0x00
	StatusCheckCondition      = 0x02
	StatusReservationConflict = 0x18
)

// Must runs a command that has to end with GOOD; unit attentions before that
// are taken note of and passed over.
func (s *Session) Must(what string, lun uint16, cdb, out []byte, inLen int) ([]byte, error) {
	for attempt := 0; ; attempt++ {
		r, err := s.Do(lun, cdb, out, inLen)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		if r.Status == StatusGood {
			return r.In, nil
		}
		if r.Key() != KeyUnitAttention || attempt == 16 {
			return nil, &StatusError{what, r}
		}
	}
}

// Attentions reads away the unit attentions that are pending on a LUN.
func (s *Session) Attentions(lun uint16) (codes []uint16, err error) {
	for range 32 {
		r, err := s.Do(lun, make([]byte, 6), nil, 0) // TEST UNIT READY
		if err != nil {
			return codes, err
		}
		if r.Key() != KeyUnitAttention {
			return codes, nil
		}
		codes = append(codes, r.Code())
	}
	return codes, fmt.Errorf("unit attentions without end: %x", codes)
}

// LUNs lists what REPORT LUNS tells.
func (s *Session) LUNs() ([]uint16, error) {
	cdb := make([]byte, 12)
	cdb[0] = 0xa0
	binary.BigEndian.PutUint32(cdb[6:], 8192)
	in, err := s.Must("REPORT LUNS", 0, cdb, nil, 8192)
	if err != nil {
		return nil, err
	}
	if len(in) < 8 {
		return nil, fmt.Errorf("REPORT LUNS: %d bytes", len(in))
	}
	n := int(binary.BigEndian.Uint32(in)) / 8
	var luns []uint16
	for i := range n {
		luns = append(luns, binary.BigEndian.Uint16(in[8+8*i:])&0x3fff)
	}
	return luns, nil
}

// Capacity is READ CAPACITY(16): the number of blocks and their length.
func (s *Session) Capacity(lun uint16) (blocks uint64, length int, err error) {
	cdb := make([]byte, 16)
	cdb[0], cdb[1], cdb[13] = 0x9e, 0x10, 32
	in, err := s.Must("READ CAPACITY(16)", lun, cdb, nil, 32)
	if err != nil {
		return 0, 0, err
	}
	if len(in) < 12 {
		return 0, 0, fmt.Errorf("READ CAPACITY(16): %d bytes", len(in))
	}
	return binary.BigEndian.Uint64(in) + 1, int(binary.BigEndian.Uint32(in[8:])), nil
}

// Read is READ(16) of blocks blocks of length bytes.
func (s *Session) Read(lun uint16, lba uint64, blocks, length int) ([]byte, error) {
	cdb := make([]byte, 16)
	cdb[0] = 0x88
	binary.BigEndian.PutUint64(cdb[2:], lba)
	binary.BigEndian.PutUint32(cdb[10:], uint32(blocks))
	return s.Must(fmt.Sprintf("READ(16) at %d", lba), lun, cdb, nil, blocks*length)
}

// Write is WRITE(16); with fua it ends when the data is stable.
func (s *Session) Write(lun uint16, lba uint64, data []byte, length int, fua bool) error {
	cdb := make([]byte, 16)
	cdb[0] = 0x8a
	if fua {
		cdb[1] = 0x08
	}
	binary.BigEndian.PutUint64(cdb[2:], lba)
	binary.BigEndian.PutUint32(cdb[10:], uint32(len(data)/length))
	_, err := s.Must(fmt.Sprintf("WRITE(16) at %d", lba), lun, cdb, data, 0)
	return err
}

// Sync is SYNCHRONIZE CACHE(10) of everything.
func (s *Session) Sync(lun uint16) error {
	cdb := make([]byte, 10)
	cdb[0] = 0x35
	_, err := s.Must("SYNCHRONIZE CACHE(10)", lun, cdb, nil, 0)
	return err
}

// Register is PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY, with
// APTPL if it is to outlive the target.
func (s *Session) Register(lun uint16, key uint64, aptpl bool) error {
	p := make([]byte, 24)
	binary.BigEndian.PutUint64(p[8:], key)
	if aptpl {
		p[20] = 1
	}
	return s.reserveOut("REGISTER AND IGNORE EXISTING KEY", lun, 0x06, 0, p)
}

// Reserve is PERSISTENT RESERVE OUT, RESERVE, of a type (SPC-5 table 57).
func (s *Session) Reserve(lun uint16, key uint64, kind byte) error {
	p := make([]byte, 24)
	binary.BigEndian.PutUint64(p, key)
	return s.reserveOut("RESERVE", lun, 0x01, kind, p)
}

func (s *Session) reserveOut(what string, lun uint16, action, kind byte, p []byte) error {
	cdb := make([]byte, 10)
	cdb[0], cdb[1], cdb[2] = 0x5f, action, kind
	binary.BigEndian.PutUint32(cdb[5:], uint32(len(p)))
	_, err := s.Must("PERSISTENT RESERVE OUT, "+what, lun, cdb, p, 0)
	return err
}

// Keys is PERSISTENT RESERVE IN, READ KEYS.
func (s *Session) Keys(lun uint16) ([]uint64, error) {
	in, err := s.Must("PERSISTENT RESERVE IN, READ KEYS", lun, []byte{0x5e, 0, 0, 0, 0, 0, 0, 0x10, 0, 0}, nil, 4096)
	if err != nil {
		return nil, err
	}
	if len(in) < 8 {
		return nil, fmt.Errorf("READ KEYS: %d bytes", len(in))
	}
	var keys []uint64
	for i := 8; i+8 <= len(in) && i < 8+int(binary.BigEndian.Uint32(in[4:])); i += 8 {
		keys = append(keys, binary.BigEndian.Uint64(in[i:]))
	}
	return keys, nil
}

// Holder is PERSISTENT RESERVE IN, READ RESERVATION: its key and type; held is
// false if there is none.
func (s *Session) Holder(lun uint16) (key uint64, kind byte, held bool, err error) {
	in, err := s.Must("PERSISTENT RESERVE IN, READ RESERVATION", lun, []byte{0x5e, 1, 0, 0, 0, 0, 0, 0, 64, 0}, nil, 64)
	if err != nil || len(in) < 24 {
		return 0, 0, false, err
	}
	return binary.BigEndian.Uint64(in[8:]), in[21], true, nil
}
