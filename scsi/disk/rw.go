package disk

import (
	"errors"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

func (d *Disk) parseRead(t *scsi.Task) {
	if n, ok := d.admit(t); ok {
		t.InLen = n
	}
}

func (d *Disk) parseWrite(t *scsi.Task) {
	if !d.writable(t) {
		return
	}
	if n, ok := d.admit(t); ok {
		t.OutLen = n
	}
}

// admit checks what READ, WRITE and their kin have in common and returns the
// number of bytes that the CDB names.
func (d *Disk) admit(t *scsi.Task) (int, bool) {
	if !d.ready(t) || !plain(t) {
		return 0, false
	}
	lba, blocks := extent(t.CDB)
	if !d.fits(t, lba, uint64(blocks)) {
		return 0, false
	}
	if uint64(blocks)<<d.shift > maxTransfer {
		t.Fail(scsi.InvalidField(lengthField(t.CDB)))
		return 0, false
	}
	return int(blocks) << d.shift, true
}

// read serves READ (6), (10), (12) and (16).
func (d *Disk) read(t *scsi.Task) {
	lba, _ := extent(t.CDB)
	off := int64(lba << d.shift)
	if t.Moved == 0 && fua(t.CDB) && !d.through.Load() {
		// What is newer in the cache has to be on the medium before it may be
		// told (SBC-4 5.16, FUA).
		if !d.sync(t) {
			return
		}
	}
	if d.offload(t, off, t.InLen, false) {
		return
	}
	prompt, _ := t.Transfer.(scsi.PromptTransfer)
	pass, ok := d.enterRead(t, off)
	if !ok {
		return
	}
	for t.Moved < t.InLen {
		var room []byte
		wait := false
		if prompt != nil {
			room, wait = prompt.TryRoom(t.InLen - t.Moved)
		} else {
			room = t.Transfer.Room(t.InLen - t.Moved)
		}
		if wait {
			// Not while others wait for us at the gate.
			d.gate.leave(pass)
			if room = t.Transfer.Room(t.InLen - t.Moved); room == nil {
				return
			}
			if pass, ok = d.enterRead(t, off); !ok {
				return
			}
		}
		if room == nil {
			break
		}
		n, err := d.readSome(t, room, off+int64(t.Moved))
		if n > 0 {
			t.Transfer.Sent(n)
			t.Moved += n
		}
		if err != nil {
			d.stopped(t, "read", off+int64(t.Moved), err)
			break
		}
	}
	d.gate.leave(pass)
}

// enterRead is enter for a read, or for what remains of one. If others wrote
// atomically while it was out, over bytes that it sent as well as bytes that it
// is still to send, it cannot return all or nothing of that (SBC-4 4.29) any
// more, and is ended; initiators begin such a command anew.
func (d *Disk) enterRead(t *scsi.Task, off int64) (pass, bool) {
	p, ok := d.enter(t, off, t.InLen)
	if !ok {
		return p, false
	}
	now := d.gate.grants.Load()
	if t.Moved > 0 && now != t.Mark && d.gate.split(t.Mark, off, off+int64(t.Moved), off+int64(t.InLen)) {
		d.gate.leave(p)
		t.Fail(scsi.Sense{Key: scsi.AbortedCommand})
		return pass{}, false
	}
	t.Mark = now
	return p, true
}

func (d *Disk) readSome(t *scsi.Task, p []byte, off int64) (int, error) {
	if t.MayBlock {
		return d.store.ReadAt(p, off)
	}
	if d.prompt == nil {
		return 0, backing.ErrWouldBlock
	}
	return d.prompt.TryReadAt(p, off)
}

// write serves WRITE (6), (10), (12) and (16). An initiator that makes less
// Data-Out than its CDB asks for has what it sent written, and no more.
func (d *Disk) write(t *scsi.Task) {
	lba, _ := extent(t.CDB)
	off := int64(lba << d.shift)
	if d.offload(t, off, len(t.Out), true) {
		return
	}
	if d.put(t, off) {
		d.stable(t)
	}
}

// put writes Task.Out from t.Moved on. It returns false when the task ended or
// has to wait.
func (d *Disk) put(t *scsi.Task, off int64) bool {
	part := len(t.Out) & (d.opt.BlockSize - 1)
	if whole := len(t.Out) - part; t.Moved < whole && !d.putWhole(t, whole, off) {
		return false
	}
	return t.Moved >= len(t.Out) || d.putPart(t, off)
}

// putWhole writes the first n bytes of Task.Out: whole blocks.
func (d *Disk) putWhole(t *scsi.Task, n int, off int64) bool {
	pass, ok := d.enter(t, off, n)
	if !ok {
		return false
	}
	defer d.gate.leave(pass)
	for t.Moved < n {
		m, err := d.writeSome(t, t.Out[t.Moved:n], off+int64(t.Moved))
		t.Moved += m
		if err != nil {
			d.stopped(t, "write", off+int64(t.Moved), err)
			return false
		}
	}
	return true
}

// putPart writes what the initiator sent of a last block: the rest of the
// block stays. A store need not take less than a block (O_DIRECT does not).
func (d *Disk) putPart(t *scsi.Task, off int64) bool {
	if !t.MayBlock {
		t.WouldBlock = true
		return false
	}
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	b, part := (*buf)[:d.opt.BlockSize], t.Out[t.Moved:]
	off += int64(t.Moved)
	pass, ok := d.exclude(t, off, len(b))
	if !ok {
		return false
	}
	defer d.gate.leave(pass)
	if _, err := d.store.ReadAt(b, off); err != nil {
		t.Fail(d.failure("read", off, err))
		return false
	}
	copy(b, part)
	if _, err := d.store.WriteAt(b, off); err != nil {
		t.Fail(d.failure("write", off, err))
		return false
	}
	t.Moved += len(part)
	return true
}

func (d *Disk) writeSome(t *scsi.Task, p []byte, off int64) (int, error) {
	if t.MayBlock {
		return d.store.WriteAt(p, off)
	}
	if d.prompt == nil {
		return 0, backing.ErrWouldBlock
	}
	return d.prompt.TryWriteAt(p, off)
}

// stable ends a write: with FUA, or on a write-through disk, only when it
// would survive a power cut.
func (d *Disk) stable(t *scsi.Task) {
	if d.through.Load() || fua(t.CDB) {
		d.sync(t)
	}
}

// sync makes all that was written stable. It returns false when the task ended
// or has to wait.
func (d *Disk) sync(t *scsi.Task) bool {
	if !t.MayBlock {
		t.WouldBlock = true
		return false
	}
	if err := d.store.Sync(); err != nil {
		d.stopped(t, "sync", -1, err)
		return false
	}
	return true
}

// stopped ends a task that an error of the store stopped, or puts it off.
func (d *Disk) stopped(t *scsi.Task, op string, off int64, err error) {
	if errors.Is(err, backing.ErrWouldBlock) {
		t.WouldBlock = true
		return
	}
	t.Fail(d.failure(op, off, err))
}

// enter takes n bytes at off for t beside others. It returns false when the
// task ended or has to wait.
func (d *Disk) enter(t *scsi.Task, off int64, n int) (pass, bool) {
	for {
		p, ok := d.gate.enter(off, n, t.MayBlock)
		if ok {
			return p, true
		}
		if !d.ready(t) {
			return pass{}, false
		}
		if !t.MayBlock {
			t.WouldBlock = true
			return pass{}, false
		}
	}
}

// exclude takes n bytes at off for t alone; false if the task ended. It waits.
func (d *Disk) exclude(t *scsi.Task, off int64, n int) (pass, bool) {
	for {
		p, ok := d.gate.exclude(off, int64(n))
		if ok {
			return p, true
		}
		if !d.ready(t) {
			return pass{}, false
		}
	}
}
