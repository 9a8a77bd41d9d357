package disk

import "github.com/esos-project/esos/scsi"

// offload has the transport carry a READ or WRITE out that would have to wait
// for the store, if all of it is one transfer which that can do. The task has
// entered the gate then, until finishRead or finishWrite.
func (d *Disk) offload(t *scsi.Task, off int64, n int, write bool) bool {
	if n == 0 || n > t.MaxOffload || d.async == nil || t.MayBlock || t.Moved != 0 || n&(d.opt.BlockSize-1) != 0 {
		return false
	}
	fd, ok := d.async.Direct(off, n, write)
	if !ok {
		return false
	}
	if _, ok := d.gate.slip(off); !ok {
		return false
	}
	t.Offload = scsi.Offload{FD: fd, Off: off, Len: n, Write: write}
	t.WouldBlock = true
	return true
}

// came takes a task out of the gate again, and says whether its transfer is
// done; else a worker begins it anew, who also learns why it failed.
func (d *Disk) came(t *scsi.Task, moved bool) bool {
	lba, _ := extent(t.CDB)
	d.gate.leave(passAt(int64(lba << d.shift)))
	t.WouldBlock = !moved
	return moved
}

func (d *Disk) finishRead(t *scsi.Task, moved bool) {
	if d.came(t, moved) {
		t.Moved = t.InLen
	}
}

func (d *Disk) finishWrite(t *scsi.Task, moved bool) {
	if d.came(t, moved) {
		t.Moved = len(t.Out)
		d.stable(t)
	}
}
