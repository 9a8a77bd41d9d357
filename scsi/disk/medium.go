package disk

import (
	"github.com/esos-project/esos/scsi"
)

// Condition implements scsi.Conditioner.
func (d *Disk) Condition() (scsi.Sense, bool) {
	switch s := d.state.Load(); {
	case s == 0:
		return scsi.Sense{}, false
	case s&sanitizeRuns != 0:
		return scsi.Sense{Key: scsi.NotReady, Code: ascSanitizeRuns, Progress: d.sanitize.progress(), HasProgress: true}, true
	case s&ejected != 0:
		return scsi.Sense{Key: scsi.NotReady, Code: scsi.MediumNotPresentTrayOpen}, true
	default:
		return scsi.Sense{Key: scsi.MediumError, Code: ascSanitizeFailed}, true
	}
}

// ready ends a task that needs the medium while it cannot be used.
func (d *Disk) ready(t *scsi.Task) bool {
	if d.state.Load() == 0 {
		return true
	}
	if why, not := d.Condition(); not {
		t.Fail(why)
		return false
	}
	return true
}

// writable ends a task that would change the medium where that is not allowed.
func (d *Disk) writable(t *scsi.Task) bool {
	if d.opt.ReadOnly {
		if !d.ready(t) { // no medium comes first
			return false
		}
		t.Fail(scsi.Sense{Key: scsi.DataProtect, Code: scsi.WriteProtected})
		return false
	}
	return true
}

// startStop serves START STOP UNIT (SBC-4 5.31). Nothing spins here, and one
// initiator must not take the medium from others, so START = 0 only makes what
// was written stable. A POWER CONDITION is taken note of in the same way: all
// of them are one to us.
func (d *Disk) startStop(t *scsi.Task) {
	var (
		power   = t.CDB[4] >> 4
		noFlush = t.CDB[4]&0x04 != 0
		loej    = t.CDB[4]&0x02 != 0
		start   = t.CDB[4]&0x01 != 0
	)
	if d.state.Load()&sanitizeRuns != 0 && !d.ready(t) {
		return
	}
	if !start && !noFlush && !d.opt.ReadOnly && !d.sync(t) {
		return
	}
	if power != 0 || !loej {
		return
	}
	if !d.opt.Removable {
		t.Fail(badBit(4, 1))
		return
	}
	d.mu.Lock()
	if len(d.prevented) > 0 {
		d.mu.Unlock()
		t.Fail(scsi.Sense{Key: scsi.IllegalRequest, Code: scsi.MediumRemovalPrevented})
		return
	}
	changed := false
	if start {
		changed = d.state.And(^ejected)&ejected != 0
	} else {
		d.state.Or(ejected)
	}
	d.mu.Unlock()
	if changed && t.Path != nil {
		// Who loaded it knows.
		t.Path.Unit.Attention(scsi.MediumMayHaveChanged, t.Path)
	}
}

// preventAllow serves PREVENT ALLOW MEDIUM REMOVAL (SBC-4 5.13). Each I_T
// nexus has its own say; the medium comes out when none of them minds.
func (d *Disk) preventAllow(t *scsi.Task) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch t.CDB[4] & 0x03 {
	case 0:
		delete(d.prevented, t.Path)
	case 1:
		d.prevented[t.Path] = struct{}{}
	default: // obsolete values
		t.Fail(scsi.InvalidField(4))
	}
}

func (d *Disk) parsePreventAllow(t *scsi.Task) {
	if !d.opt.Removable && t.CDB[4]&0x03 != 0 {
		t.Fail(scsi.InvalidField(4))
	}
}
