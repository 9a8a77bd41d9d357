package upgrade

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/slot"
)

// Record is what outlives the reboot into the other slot, among the settings:
// the system in either slot can tell what is tried.
type Record struct {
	Slot     slot.Name `json:"slot"`               // that is tried
	Version  string    `json:"version"`            // in it
	From     string    `json:"from"`               // version that ran when it was prepared
	Rollback bool      `json:"rollback,omitempty"` // and not an upgrade
	When     time.Time `json:"when"`
	// Serving is what the array was like then; nil if the daemon did not say.
	Serving *Serving `json:"serving,omitempty"`
	// Failed says that the trial did, until somebody saw it.
	Failed *Failure `json:"failed,omitempty"`
}

// Serving is what an array is like, as far as a trial is measured by it.
type Serving struct {
	Revision int `json:"revision"` // of the document
	// Problems are the objects that were not served as declared: what was
	// wrong before is not the newer system's fault.
	Problems []string `json:"problems,omitempty"`
}

// Failure is a trial that failed.
type Failure struct {
	When time.Time `json:"when"`
	Why  string    `json:"why"`
}

// ReadRecord reads a record; nil if there is none.
func ReadRecord(path string) (*Record, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var r Record
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return nil, fmt.Errorf("read what was tried from %s: %w", path, err)
	}
	return &r, nil
}

// WriteRecord keeps a record.
func WriteRecord(path string, r Record) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err == nil {
		err = renameio.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("note what is tried: %w", err)
	}
	return nil
}

// Forget removes the record: nothing is tried, and nobody needs to know of what
// was.
func (m *Machine) Forget() error {
	if err := remove(m.Record); err != nil {
		return fmt.Errorf("forget what was tried: %w", err)
	}
	return nil
}
