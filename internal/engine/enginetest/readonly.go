package enginetest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"

	"github.com/esos-project/esos/internal/config"
)

// readOnlyStays has an initiator try what changes a disk without a WRITE, on
// one that it sees read-only and another one may write to.
func readOnlyStays(l *lab) {
	ctx := l.Context()
	address := l.serve()
	l.ok(l.Engine.DeleteLUN(ctx, iqn, "", 0))
	l.image("kept.img", 1<<20)
	kept := disk("kept", config.FileIO, 1<<20)
	l.ok(l.Engine.PutDevice(ctx, kept))
	for _, g := range []struct {
		name, initiator string
		readOnly        bool
	}{{"writes", alice, false}, {"reads", bob, true}} {
		l.ok(l.Engine.PutGroup(ctx, iqn, config.Group{Name: g.name, Initiators: []string{g.initiator}}))
		l.ok(l.Engine.PutLUN(ctx, iqn, g.name, config.LUN{LUN: 0, Device: "disk0"}))
		l.ok(l.Engine.PutLUN(ctx, iqn, g.name, config.LUN{LUN: 1, Device: "kept", ReadOnly: g.readOnly}))
	}
	a, b := l.login(address, alice), l.login(address, bob)
	for _, s := range []interface {
		Attentions(lun uint16) ([]uint16, error)
	}{a, b} {
		_, err := s.Attentions(1)
		l.ok(err)
	}
	data := bytes.Repeat([]byte{0x5a}, 64*512)
	l.ok(a.Write(1, 0, data, 512, true))

	const unmap = 0x08
	copied := extendedCopy(disk("disk0", config.Memory, 0).Identity.NAA, kept.Identity.NAA, 8)
	for _, c := range []struct {
		name     string
		lun      uint16
		cdb, out []byte
	}{
		{"WRITE SAME(10) that unmaps, without data", 1, []byte{0x41, unmap, 0, 0, 0, 0, 0, 0, 8, 0}, nil},
		{"WRITE SAME(16) that unmaps, without data", 1, []byte{0x93, unmap, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0}, nil},
		{"WRITE SAME(16) with no data-out buffer", 1, []byte{0x93, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0}, nil},
		{"UNMAP", 1, []byte{0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0}, []byte{0, 22, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0}},
		{"COMPARE AND WRITE", 1, []byte{0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}, append(bytes.Clone(data[:512]), make([]byte, 512)...)},
		{"EXTENDED COPY from a disk that may be written", 0, copyCDB(copied), copied},
		{"EXTENDED COPY to itself", 1, copyCDB(copied), copied},
	} {
		r, err := b.Do(c.lun, c.cdb, c.out, 0)
		l.ok(err)
		got, err := a.Read(1, 0, 64, 512)
		l.ok(err)
		if !bytes.Equal(got, data) {
			l.Errorf("%s (status %#x, code %04x) changed a disk that its initiator sees read-only", c.name, r.Status, r.Code())
			l.ok(a.Write(1, 0, data, 512, true))
		}
	}
}

// copyCDB is an EXTENDED COPY(LID1) of a parameter list (SPC-4 6.4).
func copyCDB(list []byte) []byte {
	cdb := make([]byte, 16)
	cdb[0] = 0x83
	binary.BigEndian.PutUint32(cdb[10:], uint32(len(list)))
	return cdb
}

// extendedCopy is a parameter list that copies blocks from the start of a disk
// to the start of another, both known by their NAA identifiers.
func extendedCopy(from, to string, blocks uint16) []byte {
	list := make([]byte, 16+2*32+28)
	binary.BigEndian.PutUint16(list[2:], 2*32)
	binary.BigEndian.PutUint32(list[8:], 28)
	for i, naa := range []string{from, to} {
		d := list[16+32*i:]
		d[0], d[4], d[5] = 0xe4, 1, 3 // identification descriptor: binary, NAA
		n, _ := hex.Decode(d[8:28], []byte(naa))
		d[7] = byte(n)
		d[30] = 512 >> 8
	}
	s := list[16+2*32:]
	s[0], s[3] = 0x02, 24 // block device to block device
	binary.BigEndian.PutUint16(s[6:], 1)
	binary.BigEndian.PutUint16(s[10:], blocks)
	return list
}
