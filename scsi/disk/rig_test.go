package disk

import (
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is a Transfer that gives its room out in pieces, to be sure that a
// device goes on where it stopped.
type sink struct {
	in    []byte
	piece int // largest piece; 0: any
	limit int // bytes that anybody waits for; 0: any number
	room  []byte
}

func (s *sink) Room(n int) []byte {
	if s.piece > 0 {
		n = min(n, s.piece)
	}
	if s.limit > 0 {
		n = min(n, s.limit-len(s.in))
	}
	if n <= 0 {
		return nil
	}
	if cap(s.room) < n {
		s.room = make([]byte, n)
	}
	return s.room[:n]
}

func (s *sink) Sent(n int) { s.in = append(s.in, s.room[:n]...) }

// rig sends commands to a disk as a Unit and a transport would.
type rig struct {
	*Disk
	store *backing.Memory
	rows  map[[2]int]*scsi.Command
	piece int
}

func newRig(t testing.TB, size int64, opt Options) *rig {
	store := backing.NewMemory(size)
	r := rigOn(t, store, opt)
	r.store = store
	return r
}

func rigOn(t testing.TB, store backing.Store, opt Options) *rig {
	t.Helper()
	d, err := New(store, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return &rig{Disk: d, rows: rowsOf(d)}
}

func rowsOf(d *Disk) map[[2]int]*scsi.Command {
	rows := map[[2]int]*scsi.Command{}
	for _, c := range d.Commands() {
		key := [2]int{int(c.Op), -1}
		if c.HasAction {
			key[1] = int(c.Action)
		}
		rows[key] = &c
	}
	return rows
}

func (r *rig) find(cdb []byte) *scsi.Command {
	if c := r.rows[[2]int{int(cdb[0]), -1}]; c != nil {
		return c
	}
	return r.rows[[2]int{int(cdb[0]), int(cdb[1] & 0x1f)}]
}

// run carries a command out to its end.
func (r *rig) run(cdb, out []byte) (*scsi.Task, []byte) {
	to := &sink{piece: r.piece}
	t := &scsi.Task{CDB: cdb, Transfer: to, Expected: uint32(len(out))}
	r.execute(t, out)
	return t, to.in
}

func (r *rig) execute(t *scsi.Task, out []byte) {
	c := r.find(t.CDB)
	if c == nil {
		t.Fail(scsi.Sense{Key: scsi.IllegalRequest, Code: scsi.InvalidCommandOperationCode})
		return
	}
	if len(t.CDB) < len(c.Usage) {
		t.Fail(scsi.InvalidField(0))
		return
	}
	t.Command = c
	if c.Parse != nil {
		if c.Parse(t); t.Status != scsi.Good {
			return
		}
	}
	t.Out = out[:min(len(out), t.OutLen)]
	if c.Do(t); t.WouldBlock {
		t.WouldBlock, t.MayBlock = false, true
		c.Do(t)
	}
}

// good runs a command that must end with GOOD and returns its Data-In.
func (r *rig) good(t testing.TB, cdb, out []byte) []byte {
	t.Helper()
	task, in := r.run(cdb, out)
	if task.Status != scsi.Good || task.WouldBlock {
		t.Fatalf("% x: status %#x, sense %+v", cdb, task.Status, task.Sense)
	}
	return in
}

// fails runs a command that must end with CHECK CONDITION and a sense.
func (r *rig) fails(t testing.TB, cdb, out []byte, key scsi.SenseKey, code uint16) scsi.Sense {
	t.Helper()
	task, in := r.run(cdb, out)
	if task.Status != scsi.CheckCondition || task.Sense.Key != key || task.Sense.Code != code {
		t.Fatalf("% x: status %#x, sense %+v; want key %#x, code %#04x", cdb, task.Status, task.Sense, key, code)
	}
	if len(in) > 0 && key == scsi.IllegalRequest {
		t.Fatalf("% x: %d bytes of Data-In from a CDB that is wrong", cdb, len(in))
	}
	return task.Sense
}

// bytes reads what is in the store.
func (r *rig) bytes(t testing.TB, off, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := r.Disk.store.ReadAt(b, int64(off)); err != nil {
		t.Fatal(err)
	}
	return b
}

// cdb10 and its kin make CDBs with LBA and length where READ has them.
func cdb6(op byte, lba uint32, n byte) []byte {
	return []byte{op, byte(lba >> 16), byte(lba >> 8), byte(lba), n, 0}
}

func cdb10(op, bits byte, lba uint32, n uint16) []byte {
	b := make([]byte, 10)
	b[0], b[1] = op, bits
	binary.BigEndian.PutUint32(b[2:], lba)
	binary.BigEndian.PutUint16(b[7:], n)
	return b
}

func cdb12(op, bits byte, lba, n uint32) []byte {
	b := make([]byte, 12)
	b[0], b[1] = op, bits
	binary.BigEndian.PutUint32(b[2:], lba)
	binary.BigEndian.PutUint32(b[6:], n)
	return b
}

func cdb16(op, bits byte, lba uint64, n uint32) []byte {
	b := make([]byte, 16)
	b[0], b[1] = op, bits
	binary.BigEndian.PutUint64(b[2:], lba)
	binary.BigEndian.PutUint32(b[10:], n)
	return b
}

func cawCDB(lba uint64, n byte) []byte {
	b := cdb16(0x89, 0, lba, 0)
	b[13] = n
	return b
}

func atomicCDB(lba uint64, n uint16) []byte {
	b := cdb16(0x9c, 0, lba, 0)
	binary.BigEndian.PutUint16(b[12:], n)
	return b
}

// unmapOf makes the parameter list of an UNMAP: pairs of LBA and length.
func unmapOf(pairs ...uint64) []byte {
	b := []byte{0, 0, 0, 0, 0, 0, 0, 0}
	for i := 0; i < len(pairs); i += 2 {
		b = binary.BigEndian.AppendUint64(b, pairs[i])
		b = binary.BigEndian.AppendUint32(b, uint32(pairs[i+1]))
		b = append(b, 0, 0, 0, 0)
	}
	binary.BigEndian.PutUint16(b[0:], uint16(len(b)-2))
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-8))
	return b
}

func unmapCDB(n int) []byte { return cdb10(0x42, 0, 0, uint16(n)) }

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got) {
		t.Errorf("%s differs:\n got %s\nwant %s", name, got, want)
	}
}
