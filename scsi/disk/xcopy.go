package disk

import (
	"encoding/binary"

	"github.com/esos-project/esos/scsi"
)

// Service actions of EXTENDED COPY and RECEIVE COPY RESULTS (SPC-4 4.3.4,
// tables 125 and 200).
const (
	copyLID1          = 0x00
	resultsStatus     = 0x00
	resultsParameters = 0x03
	resultsFailure    = 0x04
)

func (d *Disk) parseExtendedCopy(t *scsi.Task) {
	if !d.ready(t) {
		return
	}
	n := binary.BigEndian.Uint32(t.CDB[10:])
	if n > copyHeader+maxCopyDescriptors {
		t.Fail(copyError(scsi.ParameterListLengthError))
		return
	}
	t.OutLen = int(n)
}

// extendedCopy serves EXTENDED COPY (LID1) (SPC-4 6.4): it copies blocks from
// one disk to another, or within one, as VMware does to clone a machine.
//
// Only disks that the initiator sees itself, through the nexus that the
// command came by, can be source or target, and only as its reservations and
// write protection allow. So a copy does nothing that READ and WRITE could not.
func (d *Disk) extendedCopy(t *scsi.Task) {
	if !t.MayBlock {
		t.WouldBlock = true
		return
	}
	if t.OutLen == 0 { // SPC-4 6.4.1: not an error
		return
	}
	list, bad := parseCopyList(t.Out)
	if bad.Key != 0 {
		t.Fail(bad)
		return
	}
	state, ok := d.copies.begin(d, t.Path, &list)
	if !ok {
		t.Fail(copyError(ascOperationInProgress))
		return
	}
	status := copyDone
	for i := range list.segments {
		n, why := d.copySegment(t, &list, &list.segments[i])
		d.mu.Lock()
		state.bytes += n
		if why.Key == 0 {
			state.segments++
		}
		d.mu.Unlock()
		if why.Key != 0 {
			t.Fail(why)
			status = copyFailed
			break
		}
	}
	d.copies.end(d, t, &list, state, status)
}

// place is a disk that a segment reads or writes, and where.
type place struct {
	path *scsi.Path
	disk *Disk
	off  uint64 // bytes
}

// copySegment carries one segment out. It returns how many bytes it copied,
// and why it stopped before the end.
func (d *Disk) copySegment(t *scsi.Task, l *copyList, s *copySegment) (int64, scsi.Sense) {
	abort := func(code uint16) scsi.Sense {
		return scsi.Sense{Key: scsi.CopyAborted, Code: code, Field: uint16(s.at), HasField: true}
	}
	fromPath, from := d.find(t, l, s.source, scsi.ReadsMedium)
	toPath, to := d.find(t, l, s.target, scsi.WritesMedium)
	if from == nil || to == nil {
		return 0, abort(ascUnreachableCopyTarget)
	}
	n := uint64(s.bytes)
	if !s.inBytes {
		unit := from
		if s.byTarget {
			unit = to
		}
		n = uint64(s.blocks) << unit.shift
	}
	if n > maxCopySegment {
		return 0, scsi.InvalidParameter(s.at + 8)
	}
	if mask := uint64(max(from.opt.BlockSize, to.opt.BlockSize) - 1); n&mask != 0 || s.fromByte != 0 || s.toByte != 0 {
		// What remains of a block would have to be padded or held for the
		// next segment; the granularity that we tell says that we do neither.
		return 0, abort(ascInexactSegment)
	}
	if !from.holds(s.from, n) || !to.holds(s.to, n) {
		return 0, abort(0)
	}
	done, code := copyBytes(t, place{fromPath, from, s.from << from.shift}, place{toPath, to, s.to << to.shift}, n)
	switch {
	case code != 0:
		return done, abort(code)
	case t.Aborted():
		return done, abort(0)
	case to.through.Load():
		if err := to.store.Sync(); err != nil {
			to.failure("sync", -1, err)
			return done, abort(ascThirdPartyFailure)
		}
	}
	return done, scsi.Sense{}
}

// holds says whether n bytes from lba on are on the medium.
func (d *Disk) holds(lba, n uint64) bool {
	all := d.Blocks()
	return lba <= all && n>>d.shift <= all-lba
}

// find returns the disk of target i and the path to it, nil if the initiator
// may not use it so.
func (d *Disk) find(t *scsi.Task, l *copyList, i int, a scsi.Access) (*scsi.Path, *Disk) {
	if i >= len(l.targets) || t.Path == nil {
		return nil, nil
	}
	want := &l.targets[i]
	for _, p := range t.Path.Nexus.Paths() {
		peer, ok := p.Unit.Device().(*Disk)
		if !ok || !named(p.Unit, want.designator[:]) || !p.Allows(a) {
			continue
		}
		if peer.state.Load() != 0 || a == scsi.WritesMedium && peer.opt.ReadOnly {
			return nil, nil
		}
		if want.blockSize != 0 && want.blockSize != peer.opt.BlockSize {
			return nil, nil
		}
		return p, peer
	}
	return nil, nil
}

// named says whether designator is one of u's own.
func named(u *scsi.Unit, designator []byte) bool {
	all := u.Designators(nil)
	for len(all) >= 4 && len(all) >= 4+int(all[3]) {
		one := all[:4+int(all[3])]
		all = all[len(one):]
		if len(one) <= len(designator) && one[0]&0x0f == designator[0]&0x0f && one[1]&0x3f == designator[1]&0x3f &&
			string(one[3:]) == string(designator[3:len(one)]) {
			return true
		}
	}
	return false
}

// copyBytes copies n bytes, piece by piece, and says how many and, if it could
// not go on, why. Where the two overlap the target gets what the source was.
func copyBytes(t *scsi.Task, from, to place, n uint64) (done int64, code uint16) {
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	backward := from.disk == to.disk && to.off > from.off && to.off-from.off < n
	for left := n; left > 0 && !t.Aborted(); {
		k := min(left, scratchSize)
		at := n - left
		if backward {
			at = left - k
		}
		if code = copyBorrowed((*buf)[:k], from, to, at); code != 0 {
			return done, code
		}
		left -= k
		done += int64(k)
	}
	return done, 0
}

// copyBorrowed copies the piece at at, if the initiator may still use both
// ends: it may have lost a LUN, or a reservation, since the copy began.
func copyBorrowed(b []byte, from, to place, at uint64) uint16 {
	if !from.path.Borrow(scsi.ReadsMedium) {
		return ascUnreachableCopyTarget
	}
	defer from.path.Return()
	if !to.path.Borrow(scsi.WritesMedium) {
		return ascUnreachableCopyTarget
	}
	defer to.path.Return()
	if !copyPiece(b, from.disk, to.disk, int64(from.off+at), int64(to.off+at)) {
		return ascThirdPartyFailure
	}
	return 0
}

// copyPiece copies len(b) bytes through b. A hole stays one on a thin disk.
func copyPiece(b []byte, from, to *Disk, at, dest int64) bool {
	if to.opt.Thin {
		if allocated, length, err := from.store.Extent(at, int64(len(b))); err == nil && !allocated && length >= int64(len(b)) {
			return to.deallocate(dest, len(b))
		}
	}
	pass, ok := from.gate.enter(at, len(b), true)
	if !ok {
		return false
	}
	n, err := from.store.ReadAt(b, at)
	from.gate.leave(pass)
	if err != nil {
		from.failure("read", at+int64(n), err)
		return false
	}
	if pass, ok = to.gate.enter(dest, len(b), true); !ok {
		return false
	}
	n, err = to.store.WriteAt(b, dest)
	to.gate.leave(pass)
	if err != nil {
		to.failure("write", dest+int64(n), err)
		return false
	}
	return true
}

func (d *Disk) deallocate(off int64, n int) bool {
	pass, ok := d.gate.enter(off, n, true)
	if !ok {
		return false
	}
	defer d.gate.leave(pass)
	if err := d.store.Zero(off, int64(n), true); err != nil {
		d.failure("unmap", off, err)
		return false
	}
	return true
}
