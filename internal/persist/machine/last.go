package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/persist"
)

// Last is how the last save went, whoever made it.
type Last struct {
	When       time.Time `json:"when"`
	Reason     string    `json:"reason"`
	Generation int       `json:"generation,omitempty"` // that has the settings; 0 if it failed
	Unchanged  bool      `json:"unchanged,omitempty"`
	Error      string    `json:"error,omitempty"` // "" if it went well
}

// Last returns how the last save of this boot went; the zero Last if there was
// none.
func (m *Machine) Last() (Last, error) {
	text, err := os.ReadFile(m.state)
	if errors.Is(err, fs.ErrNotExist) {
		return Last{}, nil
	}
	var l Last
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil {
		return Last{}, fmt.Errorf("read how the last save went: %w", err)
	}
	return l, nil
}

// Booted is the slot that this machine was booted from, and its version.
func (m *Machine) Booted() (slot, version string) { return m.boot.Slot, m.boot.Version }

// note keeps how a save went, as long as the machine runs.
func (m *Machine) note(reason string, saved persist.Saved, failed error) error {
	l := Last{When: time.Now().UTC(), Reason: reason, Generation: saved.Generation.Number, Unchanged: saved.Unchanged}
	if failed != nil {
		l.Error, l.Generation = failed.Error(), 0
	}
	text, err := json.Marshal(l)
	if err == nil {
		err = renameio.WriteFile(m.state, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("note how the save went: %w", err)
	}
	return nil
}
