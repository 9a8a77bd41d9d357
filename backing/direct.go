package backing

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// O_DIRECT wants addresses aligned as well. Buffers of the transport rarely
// are; they go through aligned ones, a bounded piece at a time.

const bounceSize = 256 << 10

// bounce holds aligned buffers between uses; what it holds, the collector may
// take back.
var bounce = sync.Pool{New: func() any {
	b := alignUp(make([]byte, bounceSize+4096), 4096)[:bounceSize]
	return &b
}}

func aligned(p []byte, align int) bool {
	return len(p) > 0 && uintptr(unsafe.Pointer(&p[0]))%uintptr(align) == 0
}

// alignUp cuts the front of b so that it starts at a multiple of align.
func alignUp(b []byte, align int) []byte {
	if r := int(uintptr(unsafe.Pointer(&b[0])) % uintptr(align)); r != 0 {
		b = b[align-r:]
	}
	return b
}

func (s *File) misaligned(n int, off int64) bool {
	return n%s.align != 0 || off%int64(s.align) != 0
}

// Direct implements Async.
func (s *File) Direct(off int64, n int, write bool) (fd int, ok bool) {
	return s.fd, s.queued && n > 0 && !s.misaligned(n, off) && !(write && s.readOnly) && s.check(n, off) == nil
}

// bounceRead reads what lies around p too where p does not begin and end at a
// multiple of the alignment: initiators may ask for a part of a block.
func (s *File) bounceRead(p []byte, off int64) (int, error) {
	b := bounce.Get().(*[]byte)
	defer bounce.Put(b)
	done := 0
	for done < len(p) {
		at := off + int64(done)
		lead := int(at % int64(s.align))
		n := min(len(p)-done, bounceSize-lead)
		span := (lead + n + s.align - 1) / s.align * s.align
		m, err := s.readAll((*b)[:span], at-int64(lead))
		got := min(max(m-lead, 0), n)
		copy(p[done:], (*b)[lead:lead+got])
		done += got
		if got < n {
			return done, err
		}
	}
	return done, nil
}

func (s *File) bounceWrite(p []byte, off int64) (int, error) {
	if s.misaligned(len(p), off) {
		return 0, s.wrap("write", 0, off, unix.EINVAL)
	}
	b := bounce.Get().(*[]byte)
	defer bounce.Put(b)
	done := 0
	for done < len(p) {
		n := copy((*b)[:], p[done:])
		m, err := s.writeAll((*b)[:n], off+int64(done))
		done += m
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
