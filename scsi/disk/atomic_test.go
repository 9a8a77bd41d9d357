package disk

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"

	"github.com/esos-project/esos/scsi"
)

func TestCompareAndWrite(t *testing.T) {
	for _, n := range []int{1, 2, 255} {
		r := newRig(t, mib, Options{})
		old, new := pattern(n*512, 1), pattern(n*512, 2)
		r.good(t, cdb16(0x8a, 0, 4, uint32(n)), old)
		r.good(t, cawCDB(4, byte(n)), append(bytes.Clone(old), new...))
		if !bytes.Equal(r.bytes(t, 4*512, n*512), new) {
			t.Errorf("%d blocks: not written", n)
		}
		for _, at := range []int{0, 1, 511, n*512 - 27} {
			expect := bytes.Clone(new)
			expect[at] ^= 0x80
			s := r.fails(t, cawCDB(4, byte(n)), append(expect, old...), scsi.Miscompare, scsi.MiscompareDuringVerify)
			if !s.HasInfo || s.Info != uint64(at) {
				t.Errorf("INFORMATION %d, want the offset %d", s.Info, at)
			}
			if !bytes.Equal(r.bytes(t, 4*512, n*512), new) {
				t.Errorf("%d blocks: written in spite of a miscompare", n)
			}
		}
	}
	r := newRig(t, mib, Options{})
	r.good(t, cawCDB(2048, 0), nil)
}

// A counter on the disk, incremented by many with COMPARE AND WRITE, as VMware
// takes its locks.
func TestCompareAndWriteIsALock(t *testing.T) {
	const workers, each = 8, 50
	r := newRig(t, mib, Options{})
	var wg sync.WaitGroup
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for done := 0; done < each; {
				old := r.good(t, cdb10(0x28, 0, 7, 1), nil)
				new := bytes.Clone(old)
				binary.BigEndian.PutUint64(new, binary.BigEndian.Uint64(old)+1)
				// The same number all over the block: a torn one would show.
				for i := 8; i < 512; i += 8 {
					copy(new[i:], new[:8])
				}
				task, _ := r.run(cawCDB(7, 1), append(old, new...))
				switch {
				case task.Status == scsi.Good:
					done++
				case task.Sense.Key != scsi.Miscompare:
					t.Errorf("sense %+v", task.Sense)
					return
				}
			}
		}()
	}
	// Others go about their business beside it.
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Add(1)
	go func() {
		defer others.Done()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				r.good(t, cdb10(0x2a, 0, 100, 8), pattern(4096, byte(i)))
			}
		}
	}()
	wg.Wait()
	close(stop)
	others.Wait()
	b := r.bytes(t, 7*512, 512)
	for i := 0; i < 512; i += 8 {
		if n := binary.BigEndian.Uint64(b[i:]); n != workers*each {
			t.Fatalf("byte %d: %d, want %d: updates were lost", i, n, workers*each)
		}
	}
}

func TestOrWrite(t *testing.T) {
	r := newRig(t, 8*mib, Options{})
	n := scratchSize + 512 // more than a piece
	a, b := pattern(n, 0x11), pattern(n, 0x84)
	r.good(t, cdb16(0x8a, 0, 3, uint32(n/512)), a)
	r.good(t, cdb16(0x8b, 0, 3, uint32(n/512)), b)
	for i := range a {
		a[i] |= b[i]
	}
	if !bytes.Equal(r.bytes(t, 3*512, n), a) {
		t.Error("not the OR of the two")
	}
}

func TestWriteAtomic(t *testing.T) {
	r := newRig(t, 4*mib, Options{Volatile: true})
	want := pattern(maxAtomic, 5)
	r.good(t, atomicCDB(8, maxAtomic/512), want)
	if !bytes.Equal(r.bytes(t, 8*512, maxAtomic), want) {
		t.Error("not written")
	}
	r.good(t, atomicCDB(0, 0), nil)
}

// Readers see a WRITE ATOMIC as a whole or not at all.
func TestWriteAtomicIsNotSeenHalf(t *testing.T) {
	r := newRig(t, 4*mib, Options{Volatile: true})
	const n = 256 // 128 KiB: two pieces of the store
	same := func(c byte) []byte { return bytes.Repeat([]byte{c}, n*512) }
	r.good(t, atomicCDB(0, n), same(0))
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for i := range 200 {
			r.good(t, atomicCDB(0, n), same(byte(i)))
		}
	}()
	for range 200 {
		got := r.good(t, cdb10(0x28, 0, 0, n), nil)
		if i := difference(got, same(got[0])); i >= 0 {
			t.Fatalf("bytes 0 and %d are of two writes", i)
		}
	}
	wg.Wait()
}
