package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/esos-project/esos/backing"
)

// A journal makes a write atomic over a power cut. A record with the data is
// made stable, then the data goes to its place and becomes stable there, then
// the record is made void. After a crash, a record that is whole is carried
// out again; one that is torn means that the data's place was not touched yet.
//
// The record has to be void before the command ends: a later write to the same
// blocks must not be undone by an older one taken up again.
type journal struct {
	mu    sync.Mutex
	store backing.Store
	buf   []byte // nil until it is used: most disks never see an atomic write
}

const (
	journalHeader = 4096
	maxAtomic     = 1 << 20 // bytes of one WRITE ATOMIC

	// JournalSize is how large a Journal must be, in bytes.
	JournalSize = journalHeader + maxAtomic
)

// A record's header: magic, offset, length, and a checksum of these and of the
// data, which follows at journalHeader.
const (
	journalMagic = "ESOS atomic 1\x00\x00\x00"
	journalOff   = 16
	journalLen   = 24
	journalSum   = 32
	journalEnd   = 36
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openJournal makes sure that data is whole and returns its journal.
func openJournal(store, data backing.Store, readOnly bool) (*journal, error) {
	if store.Size() < JournalSize {
		return nil, fmt.Errorf("%d bytes are not enough, it takes %d", store.Size(), JournalSize)
	}
	j := &journal{store: store}
	var header [journalEnd]byte
	if _, err := store.ReadAt(header[:], 0); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if string(header[:journalOff]) != journalMagic {
		return j, nil
	}
	j.buf = make([]byte, JournalSize)
	if _, err := store.ReadAt(j.buf, 0); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	off, p, ok := j.record()
	if !ok {
		return j, nil
	}
	if readOnly {
		return nil, errors.New("an atomic write is unfinished; open the disk once for writing to finish it")
	}
	if off < 0 || off > data.Size()-int64(len(p)) {
		return nil, fmt.Errorf("it holds a write at %d, beyond the disk: is it another disk's?", off)
	}
	if err := j.settle(data, p, off); err != nil {
		return nil, err
	}
	return j, nil
}

// record returns the write in buf, if it holds a whole one.
func (j *journal) record() (off int64, p []byte, ok bool) {
	b := j.buf
	n := binary.BigEndian.Uint32(b[journalLen:])
	if string(b[:journalOff]) != journalMagic || n > maxAtomic {
		return 0, nil, false
	}
	p = b[journalHeader:][:n]
	if binary.BigEndian.Uint32(b[journalSum:]) != j.sum(p) {
		return 0, nil, false
	}
	return int64(binary.BigEndian.Uint64(b[journalOff:])), p, true
}

func (j *journal) sum(p []byte) uint32 {
	return crc32.Update(crc32.Checksum(j.buf[:journalSum], castagnoli), castagnoli, p)
}

// write writes p to data at off, all or nothing. p is stable when it returns.
func (j *journal) write(data backing.Store, p []byte, off int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.buf == nil {
		j.buf = make([]byte, JournalSize)
	}
	clear(j.buf[:journalEnd])
	copy(j.buf, journalMagic)
	binary.BigEndian.PutUint64(j.buf[journalOff:], uint64(off))
	binary.BigEndian.PutUint32(j.buf[journalLen:], uint32(len(p)))
	binary.BigEndian.PutUint32(j.buf[journalSum:], j.sum(p))
	copy(j.buf[journalHeader:], p)
	if _, err := j.store.WriteAt(j.buf[:journalHeader+len(p)], 0); err != nil {
		return errors.Join(fmt.Errorf("write the record: %w", err), j.void())
	}
	if err := j.store.Sync(); err != nil {
		return errors.Join(fmt.Errorf("make the record stable: %w", err), j.void())
	}
	if err := j.settle(data, p, off); err != nil {
		// The command fails, so the record must not come back at the next
		// start, over what was written since.
		return errors.Join(err, j.void())
	}
	return nil
}

// settle carries the record out and makes it void.
func (j *journal) settle(data backing.Store, p []byte, off int64) error {
	if n, err := data.WriteAt(p, off); err != nil {
		return fmt.Errorf("write %d bytes at %d: %w", len(p), off, err)
	} else if n < len(p) {
		return fmt.Errorf("write %d bytes at %d: %w", len(p), off, io.ErrShortWrite)
	}
	if err := data.Sync(); err != nil {
		return fmt.Errorf("make %d bytes at %d stable: %w", len(p), off, err)
	}
	return j.void()
}

func (j *journal) void() error {
	var none [journalEnd]byte
	if _, err := j.store.WriteAt(none[:], 0); err != nil {
		return fmt.Errorf("void the record: %w", err)
	}
	if err := j.store.Sync(); err != nil {
		return fmt.Errorf("void the record: %w", err)
	}
	return nil
}
