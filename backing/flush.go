package backing

import "sync"

// flushes runs one flush of a file at a time. Who comes while one runs waits
// for the next, together with all who came meanwhile: what they wrote it makes
// stable at once.
//
// One at a time not only for speed: the kernel tells a failed write-back to one
// fdatasync of a descriptor. Of two at a time the other one would hear that all
// is well, and data would be acknowledged that is lost.
type flushes struct {
	mu   sync.Mutex
	runs bool
	next *flush // that those who come now wait for; nil if nobody does
}

type flush struct {
	done chan struct{}
	err  error
}

// do returns what a run of f that began after the call returned.
func (s *flushes) do(f func() error) error {
	s.mu.Lock()
	if s.runs {
		mine := s.next
		if mine == nil {
			mine = &flush{done: make(chan struct{})}
			s.next = mine
		}
		s.mu.Unlock()
		<-mine.done
		return mine.err
	}
	s.runs = true
	s.mu.Unlock()
	err := f()
	s.mu.Lock()
	next := s.next
	s.next = nil
	s.runs = next != nil
	s.mu.Unlock()
	if next != nil {
		go s.runNext(next, f)
	}
	return err
}

// runNext carries out the flush that others wait for, and those that come
// meanwhile.
func (s *flushes) runNext(next *flush, f func() error) {
	for next != nil {
		next.err = f()
		close(next.done)
		s.mu.Lock()
		next = s.next
		s.next = nil
		s.runs = next != nil
		s.mu.Unlock()
	}
}
