package smart

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"sync"
)

// Book remembers how disks were at the last look, and at the first. Looking
// takes a drive's time, and would wake some: those who list disks read it here.
// Its methods may be called at the same time.
type Book struct {
	mu    sync.Mutex
	disks map[string]Entry
}

// Entry is a disk in a Book.
type Entry struct {
	Health
	Disk string `json:"disk"` // what people call it: virtio-data01
	// First are its counts of errors at the first look: what is more than that
	// came since.
	First Counts `json:"first"`
}

// Counts are errors that a disk counts.
type Counts struct {
	Relocated int64 `json:"reallocated"`
	Media     int64 `json:"media_errors"`
}

// Files keeps a Book (host.Linux).
type Files interface {
	ReadFile(path string) ([]byte, error)
	Save(path string, data []byte, mode fs.FileMode) error
}

// Key is what a disk is known by over boots: its model and serial number, or
// the kernel's name where it has none.
func Key(model, serial, name string) string {
	if serial == "" {
		return name
	}
	return model + " " + serial
}

// All returns what was seen, by Key.
func (b *Book) All() map[string]Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.disks)
}

// note notes what was seen of the disks that are there, and forgets those that
// are not.
func (b *Book) note(seen map[string]Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := make(map[string]Entry, len(seen))
	for key, now := range seen {
		h := now.Health
		e, known := b.disks[key]
		counts := e.First
		if e.Passed == nil && e.Relocated == nil && e.Media == nil { // it has told nothing yet
			known = false
		}
		switch {
		case h.Asleep || h.Error != "":
			// What is known stays known.
			when, why, sleeps := h.When, h.Error, h.Asleep
			if h = e.Health; !known {
				h = Health{When: when}
			}
			h.Error, h.Asleep = why, sleeps
		case !known:
			counts = Counts{number(h.Relocated), number(h.Media)}
		}
		next[key] = Entry{h, now.Disk, counts}
	}
	b.disks = next
}

func number(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// Load reads a book that Store kept. Nothing is read where none was.
func (b *Book) Load(f Files, path string) error {
	text, err := f.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var disks map[string]Entry
	if err == nil {
		err = json.Unmarshal(text, &disks)
	}
	if err != nil {
		return fmt.Errorf("read how disks were: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.disks = disks
	return nil
}

// Store keeps the book in a file.
func (b *Book) Store(f Files, path string) error {
	b.mu.Lock()
	text, err := json.MarshalIndent(b.disks, "", "  ")
	b.mu.Unlock()
	if err == nil {
		err = f.Save(path, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep how disks are: %w", err)
	}
	return nil
}
