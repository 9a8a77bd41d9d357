package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/esos-project/esos/scsi"
)

// Service actions of SANITIZE (SBC-4 table 97). There is no CRYPTOGRAPHIC
// ERASE: it changes the key that the medium is encrypted with, and ours is not.
const (
	sanitizeOverwrite  = 0x01
	sanitizeBlockErase = 0x02
	sanitizeExit       = 0x1f
)

// sanitizing is the state of a SANITIZE. Disk.mu guards it, but for what is
// told of its progress.
type sanitizing struct {
	done, total atomic.Int64 // bytes
	mayExit     bool         // AUSE of the one that failed
}

// progress is how much is done, in 65536ths.
func (s *sanitizing) progress() uint16 {
	done, total := s.done.Load(), s.total.Load()
	if total == 0 {
		return 0
	}
	return uint16(min(float64(done)/float64(total)*65536, 65535))
}

// sanitizeJob is one SANITIZE: passes over the medium, and what for.
type sanitizeJob struct {
	action  byte
	passes  int
	invert  bool // each pass but the first with the pattern's complement, and so on
	pattern []byte
	mayExit bool
}

func (d *Disk) parseSanitize(t *scsi.Task) {
	// Not ready because of an earlier SANITIZE that failed is no obstacle.
	if d.state.Load()&^sanitizeFailed != 0 && !d.ready(t) {
		return
	}
	if d.opt.ReadOnly {
		t.Fail(scsi.Sense{Key: scsi.DataProtect, Code: scsi.WriteProtected})
		return
	}
	// An initiator that destroys everything had better mean what it says:
	// reserved fields are checked.
	if t.CDB[1]&0x40 != 0 {
		t.Fail(badBit(1, 6))
		return
	}
	for i := 2; i < 7; i++ {
		if t.CDB[i] != 0 {
			t.Fail(scsi.InvalidField(i))
			return
		}
	}
	n := int(binary.BigEndian.Uint16(t.CDB[7:]))
	if t.CDB[1]&0x1f == sanitizeOverwrite {
		if n < 5 || n > d.opt.BlockSize+4 {
			t.Fail(scsi.InvalidField(7))
			return
		}
		t.OutLen = n
		exact(t, 7)
	} else if n != 0 {
		t.Fail(scsi.InvalidField(7))
	}
}

// doSanitize serves SANITIZE (SBC-4 5.30, 4.11). It goes on when the command
// is aborted and when the unit is reset; it ends with the disk (Close), as a
// failure, and does not go on after a restart of the process.
//
// What it can do is bounded by what it stands on: it writes over every byte of
// the store. Copies that a file system or an SSD below made on its own are
// beyond its reach.
func (d *Disk) doSanitize(t *scsi.Task) {
	if !t.MayBlock {
		t.WouldBlock = true
		return
	}
	if !whole(t) {
		return
	}
	job := sanitizeJob{action: t.CDB[1] & 0x1f, passes: 1, mayExit: t.CDB[1]&0x20 != 0}
	switch job.action {
	case sanitizeExit:
		d.exitFailure(t)
		return
	case sanitizeOverwrite:
		if !job.parse(t, d.opt.BlockSize) {
			return
		}
	default:
		job.pattern = make([]byte, d.opt.BlockSize)
	}
	done, ok := d.startSanitize(&job)
	if !ok {
		d.ready(t)
		return
	}
	if t.CDB[1]&0x80 != 0 { // IMMED
		return
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fail(scsi.Sense{Key: scsi.MediumError, Code: ascSanitizeFailed})
			}
			return
		case <-tick.C:
			if t.Aborted() {
				return
			}
		}
	}
}

// parse takes up the parameter list of an OVERWRITE (SBC-4 table 98).
func (j *sanitizeJob) parse(t *scsi.Task, blockSize int) bool {
	p := t.Out
	n := int(binary.BigEndian.Uint16(p[2:]))
	switch {
	case p[0]&0x60 != 0: // TEST: vendor specific, and we have none
		t.Fail(scsi.InvalidParameter(0))
		return false
	case p[0]&0x1f == 0:
		t.Fail(scsi.InvalidParameter(0))
		return false
	case n == 0 || n > blockSize || n > len(p)-4:
		t.Fail(scsi.InvalidParameter(2))
		return false
	}
	j.passes, j.invert = int(p[0]&0x1f), p[0]&0x80 != 0
	j.pattern = make([]byte, blockSize) // it repeats in each block from its start
	for i := 0; i < blockSize; {
		i += copy(j.pattern[i:], p[4:4+n])
	}
	return true
}

func (d *Disk) exitFailure(t *scsi.Task) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state.Load()&sanitizeFailed == 0 {
		return
	}
	if !d.sanitize.mayExit {
		t.Fail(scsi.InvalidField(1))
		return
	}
	d.state.And(^sanitizeFailed)
}

// startSanitize starts job; false if there is one.
func (d *Disk) startSanitize(job *sanitizeJob) (<-chan error, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.closing:
		return nil, false
	default:
	}
	if d.state.Load()&sanitizeRuns != 0 {
		return nil, false
	}
	size := int64(d.Blocks() << d.shift)
	d.sanitize.done.Store(0)
	d.sanitize.total.Store(size * int64(job.passes))
	d.sanitize.mayExit = job.mayExit
	d.state.Or(sanitizeRuns)
	d.state.And(^sanitizeFailed)
	done := make(chan error, 1)
	d.working.Add(1)
	go func() {
		defer d.working.Done()
		err := d.runSanitize(job, size)
		if err != nil {
			d.state.Or(sanitizeFailed)
			if d.opt.Failed != nil {
				d.opt.Failed("sanitize", d.sanitize.done.Load(), err)
			}
		}
		d.state.And(^sanitizeRuns)
		done <- err
	}()
	return done, true
}

func (d *Disk) runSanitize(job *sanitizeJob, size int64) error {
	pass := d.gate.shut(size) // who was let in before is done
	defer d.gate.leave(pass)
	b := make([]byte, max(scratchSize, len(job.pattern)))
	for i := 0; i < len(b); {
		i += copy(b[i:], job.pattern)
	}
	for i := range job.passes {
		if i > 0 && job.invert {
			for j := range b {
				b[j] = ^b[j]
			}
		}
		if err := d.overwrite(b, size, job.action == sanitizeBlockErase); err != nil {
			return err
		}
		// Each pass has to reach the medium, not only the last.
		if err := d.store.Sync(); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
	}
	if job.action != sanitizeBlockErase {
		return nil
	}
	if err := d.store.Zero(0, size, true); err != nil {
		return fmt.Errorf("unmap: %w", err)
	}
	return d.store.Sync()
}

// overwrite writes b over the medium once. With erase, holes are left: there is
// nothing in them, and they would only take space.
func (d *Disk) overwrite(b []byte, size int64, erase bool) error {
	for off := int64(0); off < size; {
		select {
		case <-d.closing:
			return errors.New("the disk was closed")
		default:
		}
		n := min(size-off, int64(len(b)))
		hole := false
		if erase {
			allocated, length, err := d.store.Extent(off, size-off)
			if err != nil {
				return fmt.Errorf("look for data at %d: %w", off, err)
			}
			if hole = !allocated; hole {
				n = length
			} else {
				n = min(n, length)
			}
		}
		if !hole {
			if _, err := d.store.WriteAt(b[:n], off); err != nil {
				return fmt.Errorf("write at %d: %w", off, err)
			}
		}
		off += n
		d.sanitize.done.Add(n)
	}
	return nil
}
