package disk

import (
	"bytes"
	"errors"
	"testing"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

var errPower = errors.New("the power is gone")

// power is what is left of a machine's energy: a number of blocks and syncs.
type power struct{ left int }

func (p *power) take() bool {
	if p.left <= 0 {
		return false
	}
	p.left--
	return true
}

// volatileStore loses what was not synced when the power goes, as far as it
// likes to: each block that was written since reaches the medium if keep says.
type volatileStore struct {
	*backing.Memory                 // what a reader sees now
	medium          *backing.Memory // what a power cut leaves
	power           *power
	keep            func(off int64) bool
	dirty           map[int64]bool
}

func newVolatile(size int64, p *power, keep func(int64) bool) *volatileStore {
	return &volatileStore{backing.NewMemory(size), backing.NewMemory(size), p, keep, map[int64]bool{}}
}

func (v *volatileStore) WriteAt(p []byte, off int64) (int, error) {
	for i := 0; i < len(p); i += 512 {
		if !v.power.take() {
			return i, errPower
		}
		end := min(i+512, len(p))
		if _, err := v.Memory.WriteAt(p[i:end], off+int64(i)); err != nil {
			return i, err
		}
		v.dirty[(off+int64(i))&^511] = true
	}
	return len(p), nil
}

func (v *volatileStore) TryWriteAt([]byte, int64) (int, error) { return 0, backing.ErrWouldBlock }

func (v *volatileStore) Sync() error {
	if !v.power.take() {
		return errPower
	}
	return v.flush(func(int64) bool { return true })
}

func (v *volatileStore) flush(keep func(int64) bool) error {
	b := make([]byte, 512)
	for off := range v.dirty {
		if keep(off) {
			if _, err := v.Memory.ReadAt(b, off); err != nil {
				return err
			}
			if _, err := v.medium.WriteAt(b, off); err != nil {
				return err
			}
		}
	}
	clear(v.dirty)
	return nil
}

// cut is the power cut: what the medium holds is all there is.
func (v *volatileStore) cut(t *testing.T) {
	t.Helper()
	if err := v.flush(v.keep); err != nil {
		t.Fatal(err)
	}
}

// The power goes at each possible moment of a WRITE ATOMIC; whatever of the
// unsynced writes reached the medium, the blocks are all old or all new, and
// new if the command had ended.
func TestJournalOverPowerCuts(t *testing.T) {
	const n = 8 * 512
	old, new := bytes.Repeat([]byte{0xaa}, n), bytes.Repeat([]byte{0x55}, n)
	keeps := map[string]func(int64) bool{
		"nothing":      func(int64) bool { return false },
		"everything":   func(int64) bool { return true },
		"every second": func(off int64) bool { return off/512%2 == 0 },
		"every other":  func(off int64) bool { return off/512%2 == 1 },
	}
	for name, keep := range keeps {
		ended := false
		for moment := 0; !ended; moment++ {
			p := &power{left: 1 << 30}
			data, log := newVolatile(mib, p, keep), newVolatile(JournalSize, p, keep)
			d, err := New(data, Options{Journal: log})
			if err != nil {
				t.Fatal(err)
			}
			r := &rig{Disk: d, rows: rowsOf(d)}
			r.good(t, cdb10(0x2a, 0x08, 16, 8), old)

			p.left = moment
			task, _ := r.run(atomicCDB(16, 8), new)
			ended = task.Status == scsi.Good
			p.left = 1 << 30
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			data.cut(t)
			log.cut(t)

			d, err = New(data.medium, Options{Journal: log.medium})
			if err != nil {
				t.Fatalf("%s, moment %d: %v", name, moment, err)
			}
			got := make([]byte, n)
			if _, err := data.medium.ReadAt(got, 16*512); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, new) && (ended || !bytes.Equal(got, old)) {
				t.Errorf("%s, moment %d: the write was torn (ended: %v)", name, moment, ended)
			}
			// What is written now must survive the next start.
			third := bytes.Repeat([]byte{0x33}, n)
			if _, err := data.medium.WriteAt(third, 16*512); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if d, err = New(data.medium, Options{Journal: log.medium}); err != nil {
				t.Fatal(err)
			}
			if _, err := data.medium.ReadAt(got, 16*512); err != nil || !bytes.Equal(got, third) {
				t.Errorf("%s, moment %d: a later write was undone (%v)", name, moment, err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestJournalRefusals(t *testing.T) {
	data := backing.NewMemory(mib)
	if _, err := New(data, Options{Journal: backing.NewMemory(JournalSize - 1)}); err == nil {
		t.Error("a journal that is too small was taken")
	}
	// A record for beyond the disk, as another disk's journal would have.
	log := backing.NewMemory(JournalSize)
	j, err := openJournal(log, backing.NewMemory(4*mib), false)
	if err != nil {
		t.Fatal(err)
	}
	sealed := &sealing{Memory: backing.NewMemory(4 * mib), log: log, keep: backing.NewMemory(JournalSize)}
	if err := j.write(sealed, make([]byte, 512), 3*mib); err != nil {
		t.Fatal(err)
	}
	if _, err := New(data, Options{Journal: sealed.keep}); err == nil {
		t.Error("another disk's journal was carried out")
	}
	if _, err := New(backing.NewMemory(4*mib), Options{Journal: sealed.keep, ReadOnly: true}); err == nil {
		t.Error("a read-only disk wrote")
	}
	// Garbage is no record.
	if _, err := log.WriteAt(pattern(JournalSize, 7), 0); err != nil {
		t.Fatal(err)
	}
	d, err := New(data, Options{Journal: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// sealing keeps a copy of the journal at the moment of the data's write.
type sealing struct {
	*backing.Memory
	log, keep *backing.Memory
}

func (s *sealing) WriteAt(p []byte, off int64) (int, error) {
	b := make([]byte, JournalSize)
	if _, err := s.log.ReadAt(b, 0); err != nil {
		return 0, err
	}
	if _, err := s.keep.WriteAt(b, 0); err != nil {
		return 0, err
	}
	return s.Memory.WriteAt(p, off)
}
