package disk

import "github.com/esos-project/esos/scsi"

// parseRange checks a CDB that names blocks but moves no data, and may name
// any number of them.
func (d *Disk) parseRange(t *scsi.Task) {
	if d.ready(t) {
		lba, blocks := extent(t.CDB)
		d.fits(t, lba, uint64(blocks))
	}
}

// synchronizeCache serves SYNCHRONIZE CACHE (10) and (16) (SBC-4 5.33). All of
// the disk is made stable, whatever blocks are named, and with IMMED = 1 too:
// an initiator that does not wait for the result could not be told of an error.
func (d *Disk) synchronizeCache(t *scsi.Task) {
	if !d.opt.ReadOnly {
		d.sync(t)
	}
}

func (d *Disk) parsePreFetch(t *scsi.Task) {
	if d.parseRange(t); t.Status != scsi.Good {
		return
	}
	if _, blocks := extent(t.CDB); uint64(blocks)<<d.shift > maxTransfer {
		t.Fail(scsi.InvalidField(lengthField(t.CDB)))
	}
}

// preFetch serves PRE-FETCH (10) and (16) (SBC-4 5.13). What caches is the
// kernel, which decides for itself. GOOD, unlike CONDITION MET, says that the
// blocks need not all be in the cache.
func (d *Disk) preFetch(*scsi.Task) {}
