package scsi

import "sync/atomic"

// mode holds the mode pages of a unit.
type mode struct {
	flags atomic.Uint32
}

// Bits of mode.flags.
const (
	modeDescriptorSense = 1 << iota
	modeWriteProtect
)

func (m *mode) init(Device) {}

func (m *mode) descriptorSense() bool   { return m.flags.Load()&modeDescriptorSense != 0 }
func (m *mode) softwareProtected() bool { return m.flags.Load()&modeWriteProtect != 0 }
