package logs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/medium/attach"
	"github.com/esos-project/esos/internal/shelf"
)

// State is how the last archive went.
type State struct {
	When   time.Time `json:"when"`
	Reason string    `json:"reason"`
	Name   string    `json:"name,omitempty"` // of the archive
	// Since is since when nothing was archived, if there was an error.
	Since   time.Time `json:"since,omitzero"`
	Dropped []string  `json:"dropped,omitempty"` // for want of memory
	Error   string    `json:"error,omitempty"`
}

// StatePath is where the State is, until the machine restarts.
const StatePath = "/run/esos/logs.json"

// ReadState reads the State; the zero State if nothing was archived yet.
func ReadState(path string) (State, error) {
	var s State
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return State{}, fmt.Errorf("read how the last archive of logs went: %w", err)
	}
	return s, nil
}

// Limits of the logs in memory.
const (
	DefaultLimit = 50 << 20
	// DefaultAge is how old they become: less than logrotate keeps any.
	DefaultAge = 7 * 24 * time.Hour
)

// Keeper archives the logs of a machine.
type Keeper struct {
	dir           string // /var/log
	state, cursor string
	limit         int64
	age           time.Duration
	now           func() time.Time
	uptime        func() (time.Duration, error)
	// open mounts the log partition.
	open func(ctx context.Context) (s shelf.Shelf, done func() error, err error)
	// journal writes the journal's entries after those that the file cursor
	// names, and keeps there where it ended.
	journal func(ctx context.Context, w io.Writer, cursor string) error
}

// Here is the keeper of this machine's logs.
func Here() Keeper {
	return Keeper{
		dir: "/var/log", state: StatePath, cursor: "/run/esos/journal.cursor", limit: DefaultLimit, age: DefaultAge, now: time.Now, uptime: uptime,
		open: func(ctx context.Context) (shelf.Shelf, func() error, error) {
			m, err := attach.Open(ctx, "esos_logs")
			if err != nil {
				return shelf.Shelf{}, nil, err
			}
			return shelf.At(m.Dir), m.Close, nil
		},
		journal: journalctl,
	}
}

// Needed says whether the logs are large or old enough to be archived, and why.
func (k Keeper) Needed() (bool, string, error) {
	size, err := Size(k.dir)
	if err != nil {
		return false, "", err
	}
	if size > k.limit {
		return true, fmt.Sprintf("%d MiB of logs", size>>20), nil
	}
	last, err := ReadState(k.state)
	if err != nil {
		return true, "it is not known when they were archived last", nil
	}
	age, err := k.uptime()
	if err != nil {
		return false, "", err
	}
	if last.Error != "" {
		return true, "the last time failed", nil
	}
	if !last.When.IsZero() {
		age = min(age, k.now().Sub(last.When))
	}
	return age > k.age, fmt.Sprintf("%d days of logs", age/(24*time.Hour)), nil
}

// Archive archives the logs and gives their memory back. If the medium is
// gone they are kept, but not beyond the limit; an *attach.GoneError says so.
func (k Keeper) Archive(ctx context.Context, reason string) (a Archive, err error) {
	last, stateErr := ReadState(k.state)
	a, err = k.archive(ctx)
	s := State{When: k.now().UTC(), Reason: reason, Name: a.Name}
	if err != nil {
		var capErr error
		if s.Dropped, capErr = capAt(k.dir, k.limit); capErr != nil {
			err = errors.Join(err, capErr)
		}
		if s.Since = s.When; stateErr == nil && !last.Since.IsZero() {
			s.Since = last.Since
		}
		s.Error = err.Error()
	}
	text, noteErr := json.Marshal(s)
	if noteErr == nil {
		noteErr = renameio.WriteFile(k.state, append(text, '\n'), 0o644)
	}
	if noteErr != nil {
		err = errors.Join(err, fmt.Errorf("note how archiving the logs went: %w", noteErr))
	}
	return a, err
}

func (k Keeper) archive(ctx context.Context) (a Archive, err error) {
	s, done, err := k.open(ctx)
	if err != nil {
		return a, fmt.Errorf("archive the logs: %w", err)
	}
	// The journal is at its new place only when the archive is on the medium.
	next := k.cursor + ".new"
	if err := copyCursor(k.cursor, next); err != nil {
		return a, errors.Join(err, done())
	}
	a, in, err := write(ctx, s, k.dir, k.now(), func(ctx context.Context, w io.Writer) error { return k.journal(ctx, w, next) })
	if err = errors.Join(err, done()); err != nil {
		return Archive{}, fmt.Errorf("archive the logs: %w", err)
	}
	if err := os.Rename(next, k.cursor); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return a, fmt.Errorf("archive the logs: %w", err)
	}
	return a, giveBack(k.dir, in)
}

func copyCursor(from, to string) error {
	text, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.Remove(to)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// journalctl has the journal's entries of this boot as text.
func journalctl(ctx context.Context, w io.Writer, cursor string) error {
	cmd := exec.CommandContext(ctx, "journalctl", "--quiet", "--boot", "--no-pager", "--output=short-iso", "--cursor-file="+cursor)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = w, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("journalctl: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return nil
}

func uptime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0, fmt.Errorf("ask for how long the machine is up: %w", err)
	}
	var s float64
	if _, err := fmt.Sscan(string(text), &s); err != nil {
		return 0, fmt.Errorf("ask for how long the machine is up: /proc/uptime: %w", err)
	}
	return time.Duration(s * float64(time.Second)), nil
}
