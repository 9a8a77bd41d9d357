package cdrom

import (
	"encoding/binary"

	"github.com/esos-project/esos/scsi"
)

// mediaEvent is a media event code (MMC-6 6.7.2.5).
type mediaEvent byte

const (
	eventNone         mediaEvent = 0
	eventEjectRequest mediaEvent = 1
	eventNewMedia     mediaEvent = 2
	eventRemoval      mediaEvent = 3
)

// classMedia is the notification class of media events.
const classMedia = 4

// announce notes an event for every initiator that asks for events. The
// caller holds d.mu.
func (d *Drive) announce(e mediaEvent) {
	for p := range d.events {
		d.events[p] = e
	}
}

// getEvent is MMC-6 6.7, polled: each initiator hears of an event once.
func (d *Drive) getEvent(t *scsi.Task) {
	if t.CDB[1]&1 == 0 {
		t.Fail(scsi.InvalidField(1)) // asynchronous operation is optional and not served
		return
	}
	limit := int(binary.BigEndian.Uint16(t.CDB[7:]))
	if t.CDB[4]&(1<<classMedia) == 0 {
		t.Reply([]byte{0, 2, 0x80, 1 << classMedia}, limit) // none of the classes asked for
		return
	}
	d.mu.Lock()
	event := d.events[t.Path]
	d.events[t.Path] = eventNone
	var status byte
	if d.open {
		status |= 0x01
	}
	if d.disc.Load() != nil {
		status |= 0x02
	}
	d.mu.Unlock()
	t.Reply([]byte{0, 6, classMedia, 1 << classMedia, byte(event), status, 0, 0}, limit)
}
