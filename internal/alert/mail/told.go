package mail

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/host"
)

// mailed is what was told of an alert.
type mailed struct {
	Severity alert.Severity `json:"severity"`
	Object   string         `json:"object"`
	Message  string         `json:"message"`
	When     time.Time      `json:"when"`
	Over     time.Time      `json:"over,omitzero"`     // when that was told
	Returns  int            `json:"returns,omitempty"` // how often it came back soon after
}

// stays is how long it must be away to be told as over.
func (t mailed) stays() time.Duration {
	return min(longAway, away<<min(t.Returns, 10))
}

// read returns what was told, by the alerts' IDs. What is over for long is
// forgotten.
func (n *Notifier) read() (map[string]mailed, error) {
	text, err := os.ReadFile(n.File)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]mailed{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read which alerts were mailed: %w", err)
	}
	was := map[string]mailed{}
	if json.Unmarshal(text, &was) != nil || was == nil {
		return map[string]mailed{}, nil // damaged: told once more is better than never
	}
	now := n.Now()
	maps.DeleteFunc(was, func(_ string, t mailed) bool {
		return !t.Over.IsZero() && (now.Sub(t.Over) > memory || now.Before(t.Over))
	})
	return was, nil
}

func (n *Notifier) write(was map[string]mailed) error {
	dir := filepath.Dir(n.File)
	err := host.MakeDir(dir, 0o700)
	var text []byte
	if err == nil {
		text, err = json.MarshalIndent(was, "", "  ")
	}
	if err == nil {
		err = renameio.WriteFile(n.File, append(text, '\n'), 0o600)
	}
	if err == nil {
		err = host.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("note which alerts were mailed: %w", err)
	}
	return nil
}
