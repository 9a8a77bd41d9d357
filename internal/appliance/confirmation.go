package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
)

// confirmation is the one change of the network that waits, in memory and on
// disk.
type confirmation struct {
	path string // of the marker

	mu      sync.Mutex
	pending *Unconfirmed
	old     config.Network // what it is undone to
	undoing bool           // it is decided: nobody can confirm it any more
	op      *Operation     // while it is carried out
	stop    context.CancelFunc
}

// markerFile is in the data directory, and so in every generation of settings
// that is saved while the change waits.
const markerFile = "network-unconfirmed.json"

// marker is a change that waits as it is kept on disk.
type marker struct {
	Unconfirmed
	Old config.Network `json:"old"`
}

// begin notes a change that is about to be carried out. stop ends the waiting.
func (c *confirmation) begin(u *Unconfirmed, old config.Network, op *Operation, stop context.CancelFunc) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, err := json.Marshal(marker{*u, old})
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(c.path, append(text, '\n'), 0o600); err != nil {
		return err
	}
	if err := host.SyncDir(filepath.Dir(c.path)); err != nil {
		return err
	}
	c.pending, c.old, c.undoing, c.op, c.stop = u, old.Clone(), false, op, stop
	return nil
}

// load reads what a daemon before this one left. What it says is undone.
func (c *confirmation) load() (waits bool, err error) {
	text, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var m marker
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return false, fmt.Errorf("a change of the network was not confirmed, but what it was before cannot be read; look at it with esos network list: %w", errors.Join(err, os.Remove(c.path)))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending, c.old, c.undoing = &m.Unconfirmed, m.Old, true
	return true, nil
}

// carried notes that op is done and returns the change if it is op's.
func (c *confirmation) carried(op *Operation, revision int) *Unconfirmed {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.op != op || c.pending == nil {
		return nil
	}
	u := *c.pending
	u.Revision = revision
	c.pending, c.op = &u, nil
	return c.pending
}

// failed forgets the change of an operation that failed: it is undone.
func (c *confirmation) failed(op *Operation) error {
	c.mu.Lock()
	mine := c.op == op && op != nil
	c.mu.Unlock()
	if !mine {
		return nil
	}
	return c.clear()
}

// undo decides that the change u is undone. ok is false if it does not wait any
// more; op is what carries it out still.
func (c *confirmation) undo(u *Unconfirmed) (op *Operation, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// It may have come into force since: the deadline is what tells it.
	if c.pending == nil || c.undoing || !c.pending.Deadline.Equal(u.Deadline) {
		return nil, false
	}
	if c.op != nil {
		return c.op, true
	}
	c.undoing = true
	return nil, true
}

// confirm forgets the change: it stays.
func (c *confirmation) confirm(revision int) (Unconfirmed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.pending == nil || c.undoing:
		return Unconfirmed{}, ErrNothingUnconfirmed
	case c.op != nil:
		return Unconfirmed{}, ErrNotInForce
	case revision != 0 && revision != c.pending.Revision:
		return Unconfirmed{}, fmt.Errorf("%w of revision %d; that of revision %d waits", ErrNothingUnconfirmed, revision, c.pending.Revision)
	}
	u := *c.pending
	return u, c.forget()
}

// clear forgets the change.
func (c *confirmation) clear() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.forget()
}

// forget takes the marker away first: while it is there, the next start undoes
// the change, and so it waits still.
func (c *confirmation) forget() error {
	if err := os.Remove(c.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget that a change of the network waits: %w", err)
	}
	if err := host.SyncDir(filepath.Dir(c.path)); err != nil {
		return fmt.Errorf("forget that a change of the network waits: %w", err)
	}
	if c.stop != nil {
		c.stop()
	}
	c.pending, c.old, c.undoing, c.op, c.stop = nil, config.Network{}, false, nil, nil
	return nil
}

// waiting returns the change that waits, nil if none does.
func (c *confirmation) waiting() *Unconfirmed {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == nil {
		return nil
	}
	return new(*c.pending)
}

// overlay returns doc as it is without the change that is being undone.
func (c *confirmation) overlay(doc *config.Document) *config.Document {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.undoing {
		return doc
	}
	d := doc.Clone()
	d.Network = c.old.Clone()
	return d
}
