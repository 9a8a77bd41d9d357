package smart

import (
	"maps"
	"sync"
)

// Book remembers how disks were at the last look. Looking takes a drive's time,
// and wakes some: those who list disks read it here. Its methods may be called
// at the same time.
type Book struct {
	mu    sync.Mutex
	disks map[string]Health
}

// Key is what a disk is known by over boots: its serial number, or its name
// where it has none.
func Key(model, serial, name string) string {
	if serial == "" {
		return name
	}
	return model + " " + serial
}

// All returns what was seen, by Key.
func (b *Book) All() map[string]Health {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.disks)
}

// Put notes what was seen, by Key, in the place of all that was noted before.
func (b *Book) Put(disks map[string]Health) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.disks = maps.Clone(disks)
}
