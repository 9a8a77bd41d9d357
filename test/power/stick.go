package power

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/test/power/writelog"
)

// Cut is a moment at which the power goes.
type Cut struct {
	N int // entries of the log that the drive had done
	// Seed chooses which of those that were not flushed are lost or torn; 0
	// loses none.
	Seed uint64
}

func (c Cut) String() string {
	if c.Seed == 0 {
		return fmt.Sprintf("cut after entry %d, all of it written", c.N)
	}
	return fmt.Sprintf("cut after entry %d, what was not flushed torn with seed %d", c.N, c.Seed)
}

// Stick makes a medium as it is after a cut, again and again.
type Stick struct {
	Image string // the medium after the last cut; may be written to
	Parts []medium.Partition

	log     *writelog.Log
	durable *os.File // what no cut takes away
	image   *os.File
	done    int // entries that are in durable
	used    []medium.Partition
}

// Layout reads the partitions of a medium: medium.ReadLayout.
type Layout func(f *os.File) ([]medium.Partition, error)

// NewStick begins with a medium as it was before the log's first entry; size is
// the drive's. Cuts are after entry first or later.
func NewStick(dir, before string, size int64, layout Layout, log *writelog.Log, first int) (s *Stick, err error) {
	s = &Stick{Image: filepath.Join(dir, "cut.img"), log: log}
	defer func() {
		if err != nil {
			err = fmt.Errorf("make a medium of a log: %w", errors.Join(err, s.Close()))
		}
	}()
	from, err := os.Open(before)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	st, err := from.Stat()
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		file **os.File
		name string
	}{{&s.durable, filepath.Join(dir, "durable.img")}, {&s.image, s.Image}} {
		if *f.file, err = os.Create(f.name); err != nil {
			return nil, err
		}
		if err := (*f.file).Truncate(size); err != nil {
			return nil, err
		}
	}
	if err := copyData(s.durable, from, 0, min(size, st.Size())); err != nil {
		return nil, err
	}
	if err := s.advance(log.Flushed(first)); err != nil {
		return nil, err
	}
	if s.Parts, err = layout(s.durable); err != nil {
		return nil, err
	}
	if err := copyData(s.image, s.durable, 0, size); err != nil {
		return nil, err
	}
	// A boot writes to a file system only if it has to be put in order.
	for _, p := range s.Parts {
		for _, e := range log.Entries[s.done:] {
			at := int64(e.Sector) * writelog.SectorSize
			if e.Writes() && at < p.End() && at+int64(e.Sectors)*writelog.SectorSize > p.Start {
				s.used = append(s.used, p)
				break
			}
		}
	}
	return s, nil
}

// advance makes entries durable.
func (s *Stick) advance(to int) error {
	if to < s.done {
		return fmt.Errorf("replay to entry %d: %d entries are replayed already; cuts go forward", to, s.done)
	}
	if err := s.log.Replay(s.durable, s.log.Whole(s.done, to)); err != nil {
		return err
	}
	s.done = to
	return nil
}

// Cut makes Image the medium after a cut. Cuts go forward.
func (s *Stick) Cut(c Cut) error {
	if err := s.advance(s.log.Flushed(c.N)); err != nil {
		return err
	}
	for _, p := range s.used {
		if err := copyData(s.image, s.durable, p.Start, p.Size); err != nil {
			return err
		}
	}
	pieces := s.log.Whole(s.done, c.N)
	if c.Seed != 0 {
		pieces = s.log.Torn(c.N, rand.New(rand.NewPCG(c.Seed, uint64(c.N))))
	}
	return s.log.Replay(s.image, pieces)
}

// Close removes the images.
func (s *Stick) Close() error {
	var errs []error
	for _, f := range []*os.File{s.durable, s.image} {
		if f != nil {
			errs = append(errs, f.Close(), os.Remove(f.Name()))
		}
	}
	return errors.Join(errs...)
}

// copyData makes a range of a file that of another, holes included.
func copyData(to, from *os.File, at, size int64) error {
	if err := unix.Fallocate(int(to.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, size); err != nil {
		return fmt.Errorf("empty %s: %w", to.Name(), err)
	}
	for end := at + size; at < end; {
		data, err := unix.Seek(int(from.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) || err == nil && data >= end {
			return nil
		}
		if err != nil {
			return fmt.Errorf("copy %s: %w", from.Name(), err)
		}
		hole, err := unix.Seek(int(from.Fd()), data, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("copy %s: %w", from.Name(), err)
		}
		hole = min(hole, end)
		if _, err := io.Copy(io.NewOffsetWriter(to, data), io.NewSectionReader(from, data, hole-data)); err != nil {
			return fmt.Errorf("copy %s: %w", from.Name(), err)
		}
		at = hole
	}
	return nil
}
