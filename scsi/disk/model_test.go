package disk

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/esos-project/esos/scsi"
)

// A disk against a plain []byte: whatever sequence of commands it gets, it
// holds what the model holds.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bs := rapid.SampledFrom([]int{512, 4096}).Draw(t, "block size")

		m := model{
			T:    t,
			bs:   bs,
			want: make([]byte, modelBlocks*bs),
		}
		d, err := New(newRigStore(int64(modelBlocks*bs)), Options{BlockSize: bs, Thin: true, Volatile: true})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		m.rig = &rig{Disk: d, rows: rowsOf(d), piece: rapid.SampledFrom([]int{0, 700}).Draw(t, "piece")}
		t.Repeat(map[string]func(*rapid.T){
			"write":             m.write,
			"write same":        m.writeSame,
			"unmap":             m.unmap,
			"compare and write": m.compareAndWrite,
			"orwrite":           m.orWrite,
			"atomic":            m.atomic,
			"":                  m.check,
		})
	})
}

const modelBlocks = 24

type model struct {
	*rapid.T
	rig  *rig
	bs   int
	want []byte
}

func (m *model) extent(t *rapid.T) (lba, n int) {
	lba = rapid.IntRange(0, modelBlocks-1).Draw(t, "lba")
	return lba, rapid.IntRange(1, modelBlocks-lba).Draw(t, "blocks")
}

func (m *model) at(lba, n int) []byte { return m.want[lba*m.bs:][:n*m.bs] }

func (m *model) data(t *rapid.T, n int) []byte {
	return bytes.Repeat(pattern(64, rapid.Byte().Draw(t, "seed")), n*m.bs/64)
}

func (m *model) good(t *rapid.T, cdb, out []byte) {
	if task, _ := m.rig.run(cdb, out); task.Status != scsi.Good {
		t.Fatalf("% x: %#x %+v", cdb, task.Status, task.Sense)
	}
}

func (m *model) write(t *rapid.T) {
	lba, n := m.extent(t)
	p := m.data(t, n)
	op := rapid.SampledFrom([]byte{0x0a, 0x2a, 0xaa, 0x8a, 0x2e, 0x8e}).Draw(t, "op")
	bits := rapid.SampledFrom([]byte{0, 0x10}).Draw(t, "bits")
	switch op >> 5 {
	case 0:
		m.good(t, cdb6(op, uint32(lba), byte(n)), p)
	case 1:
		m.good(t, cdb10(op, bits, uint32(lba), uint16(n)), p)
	case 5:
		m.good(t, cdb12(op, bits, uint32(lba), uint32(n)), p)
	default:
		m.good(t, cdb16(op, bits, uint64(lba), uint32(n)), p)
	}
	copy(m.at(lba, n), p)
}

func (m *model) writeSame(t *rapid.T) {
	lba, n := m.extent(t)
	p := make([]byte, m.bs)
	if rapid.Bool().Draw(t, "pattern") {
		p = m.data(t, 1)
	}
	bits := rapid.SampledFrom([]byte{0, 0x08}).Draw(t, "UNMAP")
	m.good(t, cdb16(0x93, bits, uint64(lba), uint32(n)), p)
	if bits != 0 {
		clear(p)
	}
	for i := range n {
		copy(m.at(lba+i, 1), p)
	}
}

func (m *model) unmap(t *rapid.T) {
	a, na := m.extent(t)
	b, nb := m.extent(t)
	list := unmapOf(uint64(a), uint64(na), uint64(b), uint64(nb))
	m.good(t, unmapCDB(len(list)), list)
	clear(m.at(a, na))
	clear(m.at(b, nb))
}

func (m *model) compareAndWrite(t *rapid.T) {
	lba, n := m.extent(t)
	old, p := bytes.Clone(m.at(lba, n)), m.data(t, n)
	if rapid.Bool().Draw(t, "equal") {
		m.good(t, cawCDB(uint64(lba), byte(n)), append(old, p...))
		copy(m.at(lba, n), p)
		return
	}
	at := rapid.IntRange(0, len(old)-1).Draw(t, "difference")
	old[at] ^= 1
	task, _ := m.rig.run(cawCDB(uint64(lba), byte(n)), append(old, p...))
	if task.Sense.Key != scsi.Miscompare || task.Sense.Info != uint64(at) {
		t.Fatalf("%#x %+v, want a miscompare at %d", task.Status, task.Sense, at)
	}
}

func (m *model) orWrite(t *rapid.T) {
	lba, n := m.extent(t)
	p := m.data(t, n)
	m.good(t, cdb16(0x8b, 0, uint64(lba), uint32(n)), p)
	for i, c := range p {
		m.at(lba, n)[i] |= c
	}
}

func (m *model) atomic(t *rapid.T) {
	lba, n := m.extent(t)
	p := m.data(t, n)
	m.good(t, atomicCDB(uint64(lba), uint16(n)), p)
	copy(m.at(lba, n), p)
}

func (m *model) check(t *rapid.T) {
	task, in := m.rig.run(cdb16(0x88, 0, 0, modelBlocks), nil)
	if task.Status != scsi.Good {
		t.Fatalf("%#x %+v", task.Status, task.Sense)
	}
	if i := difference(in, m.want); i >= 0 {
		t.Fatalf("block %d, byte %d: %#x, the model has %#x", i/m.bs, i%m.bs, in[i], m.want[i])
	}
}
