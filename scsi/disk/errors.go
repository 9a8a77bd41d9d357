package disk

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/scsi"
)

// Additional sense codes that only disks have (SPC-5 annex F).
const (
	ascSanitizeRuns       uint16 = 0x041b
	ascSanitizeFailed     uint16 = 0x3103
	ascInvalidInformation uint16 = 0x0e03
)

// failure turns an error of the store into sense data and passes it on to
// whoever listens. off is where it happened, in bytes; -1 if nobody knows.
func (d *Disk) failure(op string, off int64, err error) scsi.Sense {
	if d.opt.Failed != nil {
		d.opt.Failed(op, off, err)
	}
	s := scsi.Sense{Key: scsi.MediumError, Code: scsi.UnrecoveredReadError}
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		// A thin disk whose pool is full: SBC-4 4.7.3.6.
		s.Key, s.Code = scsi.DataProtect, scsi.SpaceAllocationFailed
	case errors.Is(err, unix.EROFS), errors.Is(err, unix.EPERM):
		s.Key, s.Code = scsi.DataProtect, scsi.WriteProtected
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ESHUTDOWN):
		s.Key, s.Code = scsi.HardwareError, scsi.InternalTargetFailure
	case op != "read":
		s.Code = scsi.WriteError
	}
	if off >= 0 {
		s.Info, s.HasInfo = uint64(off)>>d.shift, true
	}
	return s
}
