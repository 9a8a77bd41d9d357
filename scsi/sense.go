package scsi

import "encoding/binary"

// Sense says why a command failed (SPC-5 4.4). It is a plain value: making
// one allocates nothing. Encode turns it into bytes for the wire.
type Sense struct {
	Key  SenseKey
	Code uint16 // additional sense code in the high byte, qualifier in the low one

	// Info is the INFORMATION field, for instance the offset of a miscompare
	// (SBC-4 5.3); it is sent when HasInfo.
	Info    uint64
	HasInfo bool

	// Field names the byte (and, with HasBit, the bit) of the CDB or of the
	// parameter data that an ILLEGAL REQUEST is about (SPC-5 4.4.2.4).
	Field    uint16
	Bit      byte
	HasField bool
	HasBit   bool
	InCDB    bool // else in the parameter data
	Deferred bool
	// Progress is sent in the sense key specific field when HasProgress
	// (SPC-5 4.4.2.4.4), in 65536ths.
	Progress    uint16
	HasProgress bool
}

// SenseKey is a sense key (SPC-5 table 48).
type SenseKey byte

// Sense keys.
const (
	NoSense        SenseKey = 0x0
	RecoveredError SenseKey = 0x1
	NotReady       SenseKey = 0x2
	MediumError    SenseKey = 0x3
	HardwareError  SenseKey = 0x4
	IllegalRequest SenseKey = 0x5
	UnitAttention  SenseKey = 0x6
	DataProtect    SenseKey = 0x7
	BlankCheck     SenseKey = 0x8
	CopyAborted    SenseKey = 0xa
	AbortedCommand SenseKey = 0xb
	VolumeOverflow SenseKey = 0xd
	Miscompare     SenseKey = 0xe
	Completed      SenseKey = 0xf
)

// Encode appends s to b in fixed or descriptor format (SPC-5 4.4.2, 4.4.3).
func (s Sense) Encode(b []byte, descriptor bool) []byte {
	if descriptor {
		return s.descriptor(b)
	}
	code := byte(0x70)
	if s.Deferred {
		code = 0x71
	}
	var f [18]byte
	f[0], f[2], f[7] = code, byte(s.Key), 10
	if s.HasInfo && s.Info <= 0xffffffff {
		f[0] |= 0x80
		binary.BigEndian.PutUint32(f[3:], uint32(s.Info))
	}
	binary.BigEndian.PutUint16(f[12:], s.Code)
	copy(f[15:18], s.specific())
	return append(b, f[:]...)
}

func (s Sense) descriptor(b []byte) []byte {
	code := byte(0x72)
	if s.Deferred {
		code = 0x73
	}
	start := len(b)
	b = append(b, code, byte(s.Key), byte(s.Code>>8), byte(s.Code), 0, 0, 0, 0)
	if s.HasInfo {
		b = append(b, 0x00, 0x0a, 0x80, 0)
		b = binary.BigEndian.AppendUint64(b, s.Info)
	}
	if sp := s.specific(); sp != nil {
		b = append(b, 0x02, 0x06, 0, 0, sp[0], sp[1], sp[2], 0)
	}
	b[start+7] = byte(len(b) - start - 8)
	return b
}

// specific is the sense key specific field, nil if there is none.
func (s Sense) specific() []byte {
	switch {
	case s.HasField:
		b := []byte{0x80, byte(s.Field >> 8), byte(s.Field)}
		if s.InCDB {
			b[0] |= 0x40
		}
		if s.HasBit {
			b[0] |= 0x08 | s.Bit&7
		}
		return b
	case s.HasProgress:
		return []byte{0x80, byte(s.Progress >> 8), byte(s.Progress)}
	}
	return nil
}

// InvalidField is the sense for a CDB whose byte at offset field cannot be
// served (SPC-5 4.4.2.4.2).
func InvalidField(field int) Sense {
	return Sense{Key: IllegalRequest, Code: InvalidFieldInCDB, HasField: true, InCDB: true, Field: uint16(field)}
}

// InvalidParameter is the sense for parameter data whose byte at offset field
// cannot be served.
func InvalidParameter(field int) Sense {
	return Sense{Key: IllegalRequest, Code: InvalidFieldInParameterList, HasField: true, Field: uint16(field)}
}

// Additional sense codes and qualifiers (SPC-5 annex F, the ASC/ASCQ list of t10.org).
const (
	LUNotReadyBecomingReady      uint16 = 0x0401
	LUNotReadyInitializing       uint16 = 0x0402
	LUNotReadyTargetPortStandby  uint16 = 0x040b
	LUNotReadyTargetPortUnavail  uint16 = 0x040c
	LUNotReadyAsymmetricTransit  uint16 = 0x040a
	LUNotReadyOffline            uint16 = 0x0412
	WriteError                   uint16 = 0x0c00
	UnrecoveredReadError         uint16 = 0x1100
	ParameterListLengthError     uint16 = 0x1a00
	MiscompareDuringVerify       uint16 = 0x1d00
	InvalidCommandOperationCode  uint16 = 0x2000
	LBAOutOfRange                uint16 = 0x2100
	InvalidFieldInCDB            uint16 = 0x2400
	LogicalUnitNotSupported      uint16 = 0x2500
	InvalidFieldInParameterList  uint16 = 0x2600
	InvalidReleaseOfReservation  uint16 = 0x2604
	WriteProtected               uint16 = 0x2700
	SpaceAllocationFailed        uint16 = 0x2707
	MediumMayHaveChanged         uint16 = 0x2800
	PowerOnOrReset               uint16 = 0x2900
	BusDeviceReset               uint16 = 0x2903
	NexusLoss                    uint16 = 0x2907
	ModeParametersChanged        uint16 = 0x2a01
	ReservationsPreempted        uint16 = 0x2a03
	ReservationsReleased         uint16 = 0x2a04
	RegistrationsPreempted       uint16 = 0x2a05
	AsymmetricAccessStateChanged uint16 = 0x2a06
	CapacityDataChanged          uint16 = 0x2a09
	CommandsClearedByAnother     uint16 = 0x2f00
	MediumNotPresent             uint16 = 0x3a00
	MediumNotPresentTrayClosed   uint16 = 0x3a01
	MediumNotPresentTrayOpen     uint16 = 0x3a02
	InquiryDataChanged           uint16 = 0x3f03
	ReportedLUNsDataChanged      uint16 = 0x3f0e
	SavingParametersNotSupported uint16 = 0x3900
	InternalTargetFailure        uint16 = 0x4400
	InvalidMessageError          uint16 = 0x4900
	MediumRemovalPrevented       uint16 = 0x5302
	InsufficientReservationRes   uint16 = 0x5502
	InsufficientRegistrationRes  uint16 = 0x5504
	SetTargetPortGroupsFailed    uint16 = 0x670a
)
