package disk

import "github.com/esos-project/esos/scsi"

// Commands implements scsi.Device.
func (d *Disk) Commands() []scsi.Command {
	var t table
	t.readWrite(d)
	t.copy(d)
	t.medium(d)
	return t
}

type table []scsi.Command

// extent adds a command that has LBA and length where READ has them.
func (t *table) extent(name string, op, first byte, a scsi.Access, parse, do func(*scsi.Task)) {
	*t = append(*t, scsi.Command{Name: name, Op: op, Usage: usageExtent(op, first), Access: a, Parse: parse, Do: do})
}

// add adds one with usage data of its own.
func (t *table) add(name string, a scsi.Access, parse, do func(*scsi.Task), n int, use ...byte) {
	*t = append(*t, scsi.Command{Name: name, Op: use[0], Usage: usage(n, use...), Access: a, Parse: parse, Do: do})
}

// action adds one with a service action in byte 1.
func (t *table) action(name string, a scsi.Access, parse, do func(*scsi.Task), n int, use ...byte) {
	*t = append(*t, scsi.Command{Name: name, Op: use[0], Action: uint16(use[1] & 0x1f), HasAction: true,
		Usage: usage(n, use...), Access: a, Parse: parse, Do: do})
}

// finish sets what goes on with the last n commands when an offload ends.
func (t table) finish(n int, f func(t *scsi.Task, moved bool)) {
	for i := len(t) - n; i < len(t); i++ {
		t[i].Finish = f
	}
}

func (t *table) readWrite(d *Disk) {
	const r, w = scsi.ReadsMedium, scsi.WritesMedium
	t.extent("READ (6)", 0x08, 0, r, d.parseRead, d.read)
	t.extent("READ (10)", 0x28, 0xf8, r, d.parseRead, d.read)
	t.extent("READ (12)", 0xa8, 0xf8, r, d.parseRead, d.read)
	t.extent("READ (16)", 0x88, 0xf8, r, d.parseRead, d.read)
	t.finish(4, d.finishRead)
	t.extent("WRITE (6)", 0x0a, 0, w, d.parseWrite, d.write)
	t.extent("WRITE (10)", 0x2a, 0xf8, w, d.parseWrite, d.write)
	t.extent("WRITE (12)", 0xaa, 0xf8, w, d.parseWrite, d.write)
	t.extent("WRITE (16)", 0x8a, 0xf8, w, d.parseWrite, d.write)
	t.finish(4, d.finishWrite)

	t.extent("VERIFY (10)", 0x2f, 0xf6, r, d.parseVerify, d.verify)
	t.extent("VERIFY (12)", 0xaf, 0xf6, r, d.parseVerify, d.verify)
	t.extent("VERIFY (16)", 0x8f, 0xf6, r, d.parseVerify, d.verify)
	t.extent("WRITE AND VERIFY (10)", 0x2e, 0xf6, w, d.parseWriteAndVerify, d.writeAndVerify)
	t.extent("WRITE AND VERIFY (12)", 0xae, 0xf6, w, d.parseWriteAndVerify, d.writeAndVerify)
	t.extent("WRITE AND VERIFY (16)", 0x8e, 0xf6, w, d.parseWriteAndVerify, d.writeAndVerify)

	t.add("COMPARE AND WRITE", w, d.parseCompareAndWrite, d.compareAndWrite, 16,
		0x89, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0xff)
	t.extent("ORWRITE (16)", 0x8b, 0xf8, w, d.parseOrWrite, d.orWrite)
	if d.canAtomic() {
		t.add("WRITE ATOMIC (16)", w, d.parseWriteAtomic, d.writeAtomic, 16,
			0x9c, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	}
	same := byte(0xf0)
	if d.opt.Thin {
		same |= 0x08
	}
	t.extent("WRITE SAME (10)", 0x41, same, w, d.parseWriteSame, d.writeSame)
	t.extent("WRITE SAME (16)", 0x93, same|0x01, w, d.parseWriteSame, d.writeSame)
	if d.opt.Thin {
		t.add("UNMAP", w, d.parseUnmap, d.unmap, 10, 0x42, 0x01, 0, 0, 0, 0, 0, 0xff, 0xff)
	}
}

func (t *table) copy(d *Disk) {
	const free = scsi.NoReservation
	results := func(name string, action byte, do func(*scsi.Task)) {
		t.action(name, free, d.parseCopyResults, do, 16, 0x84, action, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)
	}
	t.action("EXTENDED COPY (LID1)", scsi.WritesMedium, d.parseExtendedCopy, d.extendedCopy, 16,
		0x83, copyLID1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)
	results("RECEIVE COPY STATUS (LID1)", resultsStatus, d.copyStatus)
	results("RECEIVE COPY OPERATING PARAMETERS", resultsParameters, d.copyParameters)
	results("RECEIVE COPY FAILURE DETAILS (LID1)", resultsFailure, d.copyFailure)
}

func (t *table) medium(d *Disk) {
	// READ CAPACITY is allowed under every reservation (SBC-4 table 13).
	const free, r, w = scsi.NoReservation, scsi.ReadsMedium, scsi.WritesMedium
	t.add("READ CAPACITY (10)", free, d.parseReadCapacity10, d.readCapacity10, 10, 0x25, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x01)
	t.action("READ CAPACITY (16)", free, d.parseReadCapacity16, d.readCapacity16, 16,
		0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)
	t.action("GET LBA STATUS (16)", r, d.parseGetLBAStatus, d.getLBAStatus, 16,
		0x9e, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	t.add("READ DEFECT DATA (10)", r, d.parseReadDefects10, d.readDefects10, 10, 0x37, 0, 0x1f, 0, 0, 0, 0, 0xff, 0xff)
	t.add("READ DEFECT DATA (12)", r, d.parseReadDefects12, d.readDefects12, 12, 0xb7, 0x1f, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)

	t.extent("PRE-FETCH (10)", 0x34, 0x02, r, d.parsePreFetch, d.preFetch)
	t.extent("PRE-FETCH (16)", 0x90, 0x02, r, d.parsePreFetch, d.preFetch)

	// Every reservation of others stops these (SBC-4 table 13), but write
	// protection does not.
	t.extent("SYNCHRONIZE CACHE (10)", 0x35, 0x02, 0, d.parseRange, d.synchronizeCache)
	t.extent("SYNCHRONIZE CACHE (16)", 0x91, 0x02, 0, d.parseRange, d.synchronizeCache)
	t.add("START STOP UNIT", 0, nil, d.startStop, 6, 0x1b, 0x01, 0, 0, 0xf7)
	t.add("PREVENT ALLOW MEDIUM REMOVAL", 0, d.parsePreventAllow, d.preventAllow, 6, 0x1e, 0, 0, 0, 0x03)

	sanitize := func(name string, use byte) {
		t.action(name, w, d.parseSanitize, d.doSanitize, 10, 0x48, use, 0, 0, 0, 0, 0, 0xff, 0xff)
	}
	sanitize("SANITIZE (OVERWRITE)", 0xe0|sanitizeOverwrite)
	if d.opt.Thin { // what was erased is unmapped (SBC-4 4.11.2.3)
		sanitize("SANITIZE (BLOCK ERASE)", 0xe0|sanitizeBlockErase)
	}
	sanitize("SANITIZE (EXIT FAILURE MODE)", 0xc0|sanitizeExit)
}
