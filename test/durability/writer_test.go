package durability

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"time"

	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
)

const (
	sector    = 512
	slotSize  = 8 * sector
	slots     = 64 // of a writer
	recordLen = 28 // of the record at the start of each sector
	magic     = 0x45534f53
)

// writer writes numbered versions of its slots of a LUN, and knows of each
// slot which version must be there at least and which could be there at most.
type writer struct {
	id      int
	options initiator.Options
	session *initiator.Session
	random  *rand.Rand
	through bool // the LUN is write-through: every write is stable when it ends

	version uint64
	stable  [slots]uint64 // acknowledged as stable
	written [slots]uint64 // acknowledged, stable or not
	issued  [slots]uint64 // sent last

	key, keySent uint64 // of the registration: acknowledged, and sent last

	acknowledged, synced, verified int
}

// region is the first block of the writer's slots.
func (w *writer) region() uint64 { return uint64(w.id) * slots * slotSize / sector }

// run works until the connection breaks or ctx ends; it returns the error that
// broke it.
func (w *writer) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := w.step(); err != nil {
			return err
		}
	}
	return nil
}

// step is one command: mostly a write, now and then a flush or a registration.
func (w *writer) step() error {
	switch n := w.random.IntN(100); {
	case n < 10:
		if err := w.session.Sync(0); err != nil {
			return err
		}
		w.stable = w.written
		w.synced++
	case n < 13:
		w.version++
		w.keySent = w.version
		if err := w.session.Register(0, w.keySent, true); err != nil {
			return err
		}
		w.key = w.keySent
	default:
		slot, fua := w.random.IntN(slots), n < 55
		w.version++
		w.issued[slot] = w.version
		if err := w.session.Write(0, w.region()+uint64(slot)*slotSize/sector, w.slot(slot, w.version), sector, fua); err != nil {
			return err
		}
		w.written[slot] = w.version
		if fua || w.through {
			w.stable[slot] = w.version
		}
		w.acknowledged++
	}
	return nil
}

// slot is the content of a slot: each sector says whose it is.
func (w *writer) slot(slot int, version uint64) []byte {
	b := make([]byte, slotSize)
	for s := range slotSize / sector {
		p := b[s*sector : (s+1)*sector]
		for i := range p {
			p[i] = byte(version + uint64(i))
		}
		binary.BigEndian.PutUint32(p, magic)
		binary.BigEndian.PutUint32(p[4:], uint32(w.id))
		binary.BigEndian.PutUint32(p[8:], uint32(slot))
		binary.BigEndian.PutUint32(p[12:], uint32(s))
		binary.BigEndian.PutUint64(p[16:], version)
		binary.BigEndian.PutUint32(p[24:], 0)
		binary.BigEndian.PutUint32(p[24:], crc32.ChecksumIEEE(p))
	}
	return b
}

// verify reads everything back: no slot may be older than what was stable, nor
// newer than what was sent, and every sector must be whole.
func (w *writer) verify() error {
	var errs []error
	for slot := range slots {
		b, err := w.session.Read(0, w.region()+uint64(slot)*slotSize/sector, slotSize/sector, sector)
		if err != nil {
			return fmt.Errorf("read slot %d back: %w", slot, err)
		}
		for s := range slotSize / sector {
			if err := w.check(b[s*sector:(s+1)*sector], slot, s); err != nil {
				errs = append(errs, err)
			}
		}
		w.verified++
	}
	keys, err := w.session.Keys(0)
	if err != nil {
		return err
	}
	found := false
	for _, k := range keys {
		if k == w.key || k == w.keySent {
			w.key, found = k, true // from now on it is this one, acknowledged or not
		}
	}
	if !found {
		errs = append(errs, fmt.Errorf("writer %d: registration with key %d (or %d, not acknowledged) is lost; there are %d", w.id, w.key, w.keySent, keys))
	}
	return errors.Join(errs...)
}

func (w *writer) check(p []byte, slot, s int) error {
	at := fmt.Sprintf("writer %d, slot %d, sector %d", w.id, slot, s)
	version := binary.BigEndian.Uint64(p[16:])
	if binary.BigEndian.Uint32(p) == 0 {
		if w.stable[slot] != 0 {
			return fmt.Errorf("%s: nothing is there; version %d was stable", at, w.stable[slot])
		}
		return nil
	}
	sum := binary.BigEndian.Uint32(p[24:])
	binary.BigEndian.PutUint32(p[24:], 0)
	switch {
	case crc32.ChecksumIEEE(p) != sum || binary.BigEndian.Uint32(p) != magic:
		return fmt.Errorf("%s: damaged", at)
	case binary.BigEndian.Uint32(p[4:]) != uint32(w.id) || binary.BigEndian.Uint32(p[8:]) != uint32(slot) || binary.BigEndian.Uint32(p[12:]) != uint32(s):
		return fmt.Errorf("%s: another's sector is there", at)
	case version < w.stable[slot]:
		return fmt.Errorf("%s: LOST: version %d is there, but %d was acknowledged as stable", at, version, w.stable[slot])
	case version > w.issued[slot]:
		return fmt.Errorf("%s: version %d is there, but only %d was sent", at, version, w.issued[slot])
	}
	return nil
}

// login logs in, as often as it takes: the target may be on its way back.
func (w *writer) login(ctx context.Context) error {
	end := time.Now().Add(20 * time.Second)
	for {
		s, err := initiator.Login(ctx, w.options)
		if err == nil {
			if _, err = s.Attentions(0); err == nil {
				w.session = s
				return nil
			}
			_ = s.Abandon()
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("writer %d finds no way back: %w", w.id, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
