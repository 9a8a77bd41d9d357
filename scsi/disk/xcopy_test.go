package disk

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

type noTransport struct{}

func (noTransport) AbortTasks(scsi.LUN, *scsi.Task) {}
func (noTransport) Resume(*scsi.Task)               {}

// shelf is an initiator that sees some disks.
type shelf struct {
	t     *testing.T
	nexus *scsi.Nexus
	disks []*Disk
	units []*scsi.Unit
}

func newShelf(t *testing.T, opts ...Options) *shelf {
	s := &shelf{t: t, nexus: scsi.NewNexus(scsi.InitiatorID{Name: "iqn.2026-01.example:a"}, &scsi.Port{Name: "iqn.2026-01.example:t,t,0x0001", ID: 1}, noTransport{})}
	var luns []scsi.Mapping
	for i, o := range opts {
		d, err := New(backing.NewMemory(8*mib), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		u := scsi.NewUnit(scsi.Identity{Vendor: "ESOS", T10ID: string(rune('a' + i)), NAA: 0x6000000000000000 | uint64(i), NAAExt: uint64(i)}, d)
		s.disks, s.units = append(s.disks, d), append(s.units, u)
		luns = append(luns, scsi.Mapping{LUN: scsi.LUN(i), Unit: u})
	}
	s.map_(luns)
	t.Cleanup(s.nexus.Close)
	return s
}

// map_ sets the LUN map and takes the unit attentions that come of it.
func (s *shelf) map_(luns []scsi.Mapping) {
	s.t.Helper()
	s.nexus.SetLUNs(luns)
	for _, m := range luns {
		for range 10 {
			if s.run(m.LUN, make([]byte, 6), nil).Status == scsi.Good {
				break
			}
		}
	}
}

func (s *shelf) run(lun scsi.LUN, cdb, out []byte) *scsi.Task {
	return s.receive(lun, cdb, out, &sink{})
}

func (s *shelf) receive(lun scsi.LUN, cdb, out []byte, to *sink) *scsi.Task {
	t := &scsi.Task{CDB: cdb, LUN: lun, Transfer: to, Expected: uint32(len(out))}
	if !s.nexus.Admit(t) {
		return t
	}
	t.Out = out[:min(len(out), t.OutLen)]
	if !s.nexus.Execute(t) {
		t.MayBlock = true
		s.nexus.Execute(t)
	}
	return t
}

// target makes an identification descriptor of unit i; bs 0 leaves the block
// length out.
func (s *shelf) target(i, bs int) []byte {
	b := make([]byte, 32)
	b[0] = targetID
	all := s.units[i].Designators(nil)
	naa := all[len(all)-20:]
	copy(b[4:], naa)
	b[29], b[30], b[31] = byte(bs>>16), byte(bs>>8), byte(bs)
	return b
}

func segment(from, to, blocks int, src, dst uint64) []byte {
	b := make([]byte, 28)
	b[0], b[3] = segBlocks, 24
	binary.BigEndian.PutUint16(b[4:], uint16(from))
	binary.BigEndian.PutUint16(b[6:], uint16(to))
	binary.BigEndian.PutUint16(b[10:], uint16(blocks))
	binary.BigEndian.PutUint64(b[12:], src)
	binary.BigEndian.PutUint64(b[20:], dst)
	return b
}

func segmentBytes(from, to, n int, src, dst uint64) []byte {
	b := make([]byte, 32)
	b[0], b[3] = segBytes, 28
	binary.BigEndian.PutUint16(b[4:], uint16(from))
	binary.BigEndian.PutUint16(b[6:], uint16(to))
	binary.BigEndian.PutUint32(b[8:], uint32(n))
	binary.BigEndian.PutUint64(b[12:], src)
	binary.BigEndian.PutUint64(b[20:], dst)
	return b
}

func list(id, use byte, targets, segments [][]byte) []byte {
	t, s := bytes.Join(targets, nil), bytes.Join(segments, nil)
	b := make([]byte, 16)
	b[0], b[1] = id, use<<3
	binary.BigEndian.PutUint16(b[2:], uint16(len(t)))
	binary.BigEndian.PutUint32(b[8:], uint32(len(s)))
	return bytes.Join([][]byte{b, t, s}, nil)
}

func (s *shelf) copy(lun scsi.LUN, l []byte) *scsi.Task {
	return s.run(lun, cdb16(0x83, 0, 0, uint32(len(l))), l)
}

func (s *shelf) put(i int, off int64, p []byte) {
	s.t.Helper()
	if _, err := s.disks[i].store.WriteAt(p, off); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) holds(i int, off int64, want []byte) {
	s.t.Helper()
	got := make([]byte, len(want))
	if _, err := s.disks[i].store.ReadAt(got, off); err != nil {
		s.t.Fatal(err)
	}
	if at := difference(got, want); at >= 0 {
		s.t.Errorf("disk %d, byte %d from %d on is not as it should be", i, at, off)
	}
}

func TestExtendedCopy(t *testing.T) {
	data := pattern(3*mib, 1)
	for _, c := range []struct {
		name     string
		opts     []Options
		segments func(s *shelf) [][]byte
		disk     int
		off      int64
		want     []byte
	}{
		{"to another disk", []Options{{}, {}}, func(s *shelf) [][]byte { return [][]byte{segment(0, 1, 6144, 0, 100)} }, 1, 100 * 512, data},
		{"in bytes", []Options{{}, {}}, func(s *shelf) [][]byte { return [][]byte{segmentBytes(0, 1, 2*mib, 0, 7)} }, 1, 7 * 512, data[:2*mib]},
		{"two segments", []Options{{}, {}}, func(s *shelf) [][]byte {
			return [][]byte{segment(0, 1, 8, 0, 0), segment(0, 1, 8, 8, 8)}
		}, 1, 0, data[:8192]},
		{"to larger blocks", []Options{{}, {BlockSize: 4096}}, func(s *shelf) [][]byte { return [][]byte{segment(0, 1, 4096, 8, 3)} }, 1, 3 * 4096, data[4096:][:2*mib]},
		{"no blocks", []Options{{}, {}}, func(s *shelf) [][]byte { return [][]byte{segment(0, 1, 0, 0, 0)} }, 1, 0, make([]byte, 512)},
		{"no segments", []Options{{}, {}}, func(s *shelf) [][]byte { return nil }, 1, 0, make([]byte, 512)},
		{"overlap upwards", []Options{{}, {}}, func(s *shelf) [][]byte { return [][]byte{segment(0, 0, 4096, 0, 8)} }, 0, 4096, data[:2*mib]},
		{"overlap downwards", []Options{{}, {}}, func(s *shelf) [][]byte { return [][]byte{segment(0, 0, 4096, 8, 0)} }, 0, 0, data[4096:][:2*mib]},
		{"onto itself", []Options{{}, {}}, func(s *shelf) [][]byte { return [][]byte{segment(0, 0, 4096, 0, 0)} }, 0, 0, data},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShelf(t, c.opts...)
			s.put(0, 0, data)
			l := list(1, 0, [][]byte{s.target(0, s.disks[0].BlockSize()), s.target(1, 0)}, c.segments(s))
			if task := s.copy(0, l); task.Status != scsi.Good {
				t.Fatalf("sense %+v", task.Sense)
			}
			s.holds(c.disk, c.off, c.want)
		})
	}
}

// What is a hole stays one.
func TestExtendedCopyKeepsThin(t *testing.T) {
	s := newShelf(t, Options{Thin: true}, Options{Thin: true})
	s.put(1, 0, pattern(4*mib, 1))
	s.put(0, 0, pattern(512, 2))
	l := list(0, 3, [][]byte{s.target(0, 512), s.target(1, 512)}, [][]byte{segment(0, 1, 8192, 0, 0)})
	if task := s.copy(1, l); task.Status != scsi.Good {
		t.Fatalf("sense %+v", task.Sense)
	}
	s.holds(1, 0, append(pattern(512, 2), make([]byte, 4*mib-512)...))
	if allocated, _, err := s.disks[1].store.Extent(2*mib, 512); allocated || err != nil {
		t.Errorf("allocated: %v (%v)", allocated, err)
	}
}

func TestExtendedCopyRefusals(t *testing.T) {
	s := newShelf(t, Options{}, Options{ReadOnly: true}, Options{BlockSize: 4096})
	stranger := newShelf(t, Options{}, Options{}, Options{}, Options{})
	a := s.target(0, 512)
	one := [][]byte{segment(0, 0, 8, 0, 100)}
	ill, abort := scsi.IllegalRequest, scsi.CopyAborted
	edit := func(l []byte, at int, v byte) []byte { l[at] = v; return l }
	many := func(n int, b []byte) (all [][]byte) {
		for range n {
			all = append(all, b)
		}
		return all
	}
	for _, c := range []struct {
		name string
		list []byte
		key  scsi.SenseKey
		code uint16
	}{
		{"cut in the header", make([]byte, 15), ill, scsi.ParameterListLengthError},
		{"cut in a target", list(1, 0, [][]byte{a}, one)[:47], ill, scsi.ParameterListLengthError},
		{"cut in a segment", list(1, 0, [][]byte{a}, one)[:75], ill, scsi.ParameterListLengthError},
		{"inline data", edit(list(1, 0, [][]byte{a}, one), 15, 1), ill, scsi.ParameterListLengthError},
		{"list longer than its maximum", list(1, 0, many(65, a), many(65, one[0])), ill, scsi.ParameterListLengthError},
		{"too many targets", list(1, 0, many(65, a), one), ill, ascTooManyTargets},
		{"too many segments", list(1, 0, [][]byte{a}, many(65, one[0])), ill, ascTooManySegments},
		{"a target that is a port", list(1, 0, [][]byte{edit(bytes.Clone(a), 0, 0xe0)}, one), ill, ascUnsupportedTargetType},
		{"a stream segment", list(1, 0, [][]byte{a}, [][]byte{edit(segment(0, 0, 8, 0, 0), 0, 3)}), ill, ascUnsupportedSegmentType},
		{"a segment with a wrong length", list(1, 0, [][]byte{a}, [][]byte{edit(segment(0, 0, 8, 0, 0), 3, 23)}), ill, scsi.InvalidFieldInParameterList},
		{"a tape", list(1, 0, [][]byte{edit(bytes.Clone(a), 1, 1)}, one), ill, scsi.InvalidFieldInParameterList},
		{"a designator too long", list(1, 0, [][]byte{edit(bytes.Clone(a), 7, 21)}, one), ill, scsi.InvalidFieldInParameterList},
		{"reserved LIST ID USAGE", list(1, 1, [][]byte{a}, one), ill, scsi.InvalidFieldInParameterList},
		{"a list identifier without status", list(1, 3, [][]byte{a}, one), ill, scsi.InvalidFieldInParameterList},
		{"longer than a segment may be", list(1, 0, [][]byte{a}, [][]byte{segmentBytes(0, 0, maxCopySegment+512, 0, 0)}), ill, scsi.InvalidFieldInParameterList},
		{"no such target", list(1, 0, [][]byte{a}, [][]byte{segment(0, 1, 8, 0, 0)}), abort, ascUnreachableCopyTarget},
		{"no such source", list(1, 0, [][]byte{a}, [][]byte{segment(1, 0, 8, 0, 0)}), abort, ascUnreachableCopyTarget},
		{"a unit that the initiator does not see", list(1, 0, [][]byte{a, stranger.target(3, 512)}, [][]byte{segment(0, 1, 8, 0, 0)}), abort, ascUnreachableCopyTarget},
		{"to a read-only disk", list(1, 0, [][]byte{a, s.target(1, 512)}, [][]byte{segment(0, 1, 8, 0, 0)}), abort, ascUnreachableCopyTarget},
		{"a wrong block length", list(1, 0, [][]byte{a, s.target(2, 512)}, [][]byte{segment(0, 1, 8, 0, 0)}), abort, ascUnreachableCopyTarget},
		{"a part of a block", list(1, 0, [][]byte{a, s.target(2, 4096)}, [][]byte{segment(0, 1, 7, 0, 0)}), abort, ascInexactSegment},
		{"a part of a block in bytes", list(1, 0, [][]byte{a}, [][]byte{segmentBytes(0, 0, 100, 0, 0)}), abort, ascInexactSegment},
		{"beyond the source's end", list(1, 0, [][]byte{a}, [][]byte{segment(0, 0, 2, 16383, 0)}), abort, 0},
		{"beyond the target's end", list(1, 0, [][]byte{a}, [][]byte{segment(0, 0, 2048, 0, 16383)}), abort, 0},
		{"far beyond it", list(1, 0, [][]byte{a}, [][]byte{segment(0, 0, 1, 0, 1<<64-1)}), abort, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.put(0, 0, pattern(4096, 5))
			task := s.copy(0, c.list)
			if task.Status != scsi.CheckCondition || task.Sense.Key != c.key || task.Sense.Code != c.code {
				t.Errorf("status %#x, sense %+v; want %#x, %#04x", task.Status, task.Sense, c.key, c.code)
			}
			s.holds(0, 100*512, make([]byte, 4096))
		})
	}
	if task := s.run(0, cdb16(0x83, 0, 0, 0), nil); task.Status != scsi.Good {
		t.Errorf("an empty list: %+v", task.Sense)
	}
	if task := s.run(0, cdb16(0x83, 0, 0, 1<<31), nil); task.Sense.Code != scsi.ParameterListLengthError || task.OutLen != 0 {
		t.Errorf("a huge list: %d bytes, %+v", task.OutLen, task.Sense)
	}
	// To a LUN that is read-only for this initiator.
	s.map_([]scsi.Mapping{{LUN: 0, Unit: s.units[0]}, {LUN: 2, Unit: s.units[2], ReadOnly: true}})
	l := list(1, 0, [][]byte{a, s.target(2, 4096)}, [][]byte{segment(0, 1, 8, 0, 0)})
	if task := s.copy(0, l); task.Sense.Key != abort {
		t.Errorf("copied to a read-only LUN: %+v", task.Sense)
	}
}

func TestCopyResults(t *testing.T) {
	s := newShelf(t, Options{}, Options{})
	results := func(action, id byte) (*scsi.Task, []byte) {
		to := &sink{}
		cdb := cdb16(0x84, action, 0, 1024)
		cdb[2] = id
		return s.receive(0, cdb, nil, to), to.in
	}
	a, b := s.target(0, 512), s.target(1, 512)
	if task, _ := results(resultsStatus, 1); task.Sense.Code != scsi.InvalidFieldInCDB {
		t.Errorf("status of a copy that never was: %+v", task.Sense)
	}
	s.copy(0, list(1, 0, [][]byte{a, b}, [][]byte{segment(0, 1, 8, 0, 0), segment(0, 1, 8, 0, 8)}))
	_, in := results(resultsStatus, 1)
	if d := cmp.Diff([]byte{0, 0, 0, 8, copyDone, 0, 2, 0, 0, 0, 0x20, 0}, in); d != "" {
		t.Error(d)
	}
	if task, _ := results(resultsFailure, 1); task.Sense.Code != scsi.InvalidFieldInCDB {
		t.Errorf("failure details of a copy that went well: %+v", task.Sense)
	}
	s.copy(0, list(2, 0, [][]byte{a, b}, [][]byte{segment(0, 1, 8, 0, 0), segment(0, 7, 8, 0, 8)}))
	_, in = results(resultsStatus, 2)
	if d := cmp.Diff([]byte{0, 0, 0, 8, copyFailed, 0, 1, 0, 0, 0, 0x10, 0}, in); d != "" {
		t.Error(d)
	}
	_, in = results(resultsFailure, 2)
	if len(in) != 78 || binary.BigEndian.Uint32(in) != 74 || in[56] != 0x02 || in[62] != byte(scsi.CopyAborted) {
		t.Errorf("failure details % x", in)
	}
	if task, _ := results(resultsStatus, 2); task.Sense.Code != scsi.InvalidFieldInCDB {
		t.Errorf("failure details were told, and are still there: %+v", task.Sense)
	}
	s.copy(0, list(9, 2, [][]byte{a, b}, [][]byte{segment(0, 1, 8, 0, 0)}))
	if task, _ := results(resultsStatus, 9); task.Sense.Code != scsi.InvalidFieldInCDB {
		t.Errorf("a status that was not to be kept: %+v", task.Sense)
	}
	_, in = results(resultsParameters, 0)
	golden(t, "copy-parameters.bin", in)
	s.disks[0].Reset()
	if task, _ := results(resultsStatus, 1); task.Sense.Code != scsi.InvalidFieldInCDB {
		t.Errorf("a reset forgot nothing: %+v", task.Sense)
	}
}

// Reservations of others hold for copies too.
func TestExtendedCopyRespectsReservations(t *testing.T) {
	s := newShelf(t, Options{}, Options{})
	other := scsi.NewNexus(scsi.InitiatorID{Name: "iqn.2026-01.example:b"}, &scsi.Port{Name: "iqn.2026-01.example:t,t,0x0001", ID: 1}, noTransport{})
	defer other.Close()
	other.SetLUNs([]scsi.Mapping{{LUN: 1, Unit: s.units[1]}})
	reserve := func() *scsi.Task {
		task := &scsi.Task{CDB: []byte{0x16, 0, 0, 0, 0, 0}, LUN: 1, Transfer: &sink{}}
		if other.Admit(task) {
			other.Execute(task)
		}
		return task
	}
	reserve() // takes the unit attention
	if task := reserve(); task.Status != scsi.Good {
		t.Fatalf("RESERVE(6): %#x %+v", task.Status, task.Sense)
	}
	l := list(1, 0, [][]byte{s.target(0, 512), s.target(1, 512)}, [][]byte{segment(0, 1, 8, 0, 0)})
	if task := s.copy(0, l); task.Sense.Code != ascUnreachableCopyTarget {
		t.Errorf("copied onto another's reservation: %#x %+v", task.Status, task.Sense)
	}
}
