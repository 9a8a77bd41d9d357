package appliance

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
)

const (
	chunkSize = 8192
	chunks    = 8192 // of the LUN, from its start
)

// Verifier writes to a LUN and reads back what it wrote until it is stopped.
// Its first error stays: an initiator that loses one I/O has lost data.
type Verifier struct {
	session *initiator.Session
	written map[int]uint64 // by chunk: the number of the write that it holds
	last    uint64
	reads   int
	longest time.Duration

	cancel context.CancelFunc
	done   chan error
}

// Verify starts I/O of its own session.
func (m *Machine) Verify(ctx context.Context) (*Verifier, error) {
	s, err := m.Login(ctx, time.Minute)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	v := &Verifier{session: s, written: map[int]uint64{}, cancel: cancel, done: make(chan error, 1)}
	go func() { v.done <- v.loop(ctx) }()
	return v, nil
}

// Abandon ends the I/O of one whose errors are not asked for any more.
func (v *Verifier) Abandon() error {
	v.cancel()
	return v.session.Abandon()
}

func (v *Verifier) loop(ctx context.Context) error {
	random := rand.New(rand.NewPCG(1, 2))
	for ctx.Err() == nil {
		chunk := random.IntN(chunks)
		start := time.Now()
		var err error
		if _, there := v.written[chunk]; there && random.IntN(2) == 0 {
			err = v.read(chunk)
		} else {
			err = v.write(chunk, random.IntN(8) == 0)
		}
		if err != nil {
			return fmt.Errorf("I/O %d: %w", v.last+uint64(v.reads), err)
		}
		v.longest = max(v.longest, time.Since(start))
	}
	return nil
}

func (v *Verifier) write(chunk int, fua bool) error {
	v.last++
	v.written[chunk] = v.last
	return v.session.Write(0, uint64(chunk*chunkSize/512), contents(chunk, v.last), 512, fua)
}

func (v *Verifier) read(chunk int) error {
	v.reads++
	got, err := v.session.Read(0, uint64(chunk*chunkSize/512), chunkSize/512, 512)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, contents(chunk, v.written[chunk])) {
		return fmt.Errorf("chunk %d does not hold write %d", chunk, v.written[chunk])
	}
	return nil
}

// contents differ by chunk and by write.
func contents(chunk int, write uint64) []byte {
	b := make([]byte, chunkSize)
	for i := 0; i < len(b); i += 16 {
		binary.LittleEndian.PutUint64(b[i:], write)
		binary.LittleEndian.PutUint64(b[i+8:], uint64(chunk)<<32|uint64(i))
	}
	return b
}

// Stop ends the I/O, reads everything once more, and returns the first error.
func (v *Verifier) Stop() error {
	v.cancel()
	if err := <-v.done; err != nil {
		return err
	}
	for chunk := range v.written {
		if err := v.read(chunk); err != nil {
			return fmt.Errorf("read again: %w", err)
		}
	}
	return v.session.Close()
}

func (v *Verifier) String() string {
	return fmt.Sprintf("%d writes and %d reads of %d KiB, the longest took %.2f s", v.last, v.reads, chunkSize>>10, v.longest.Seconds())
}
