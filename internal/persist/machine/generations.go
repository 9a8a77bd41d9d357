package machine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/persist"
)

// HeldError says that nothing is saved before the next boot, since other
// settings wait for it: a save would put the present ones in their place.
type HeldError struct{ Why string }

// Error says what to do.
func (e *HeldError) Error() string {
	return fmt.Sprintf("the settings of this boot are not saved any more: %s; reboot, or call that off with 'esos config restore --undo'", e.Why)
}

// held says why nothing is saved; "" if all is.
func (m *Machine) held() (string, error) {
	text, err := os.ReadFile(m.hold)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look whether other settings wait for the next boot: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// Generations lists what is saved on the medium, newest first.
func (m *Machine) Generations(ctx context.Context) (list []persist.Listed, err error) {
	err = m.mounted(ctx, func(dir string) error {
		list, err = persist.Inspect(dir)
		return err
	})
	return list, err
}

// Restore has the next boot come up with an older generation. Until then
// nothing is saved.
func (m *Machine) Restore(ctx context.Context, number int) (g persist.Generation, err error) {
	return m.next(ctx, func(dir string) (persist.Generation, string, error) {
		g, err := persist.Bring(dir, number, m.options(fmt.Sprintf("restore of generation %d", number)))
		return g, fmt.Sprintf("the next boot takes the settings of generation %d", number), err
	})
}

// Import has the next boot come up with the settings of a backup.
func (m *Machine) Import(ctx context.Context, r io.ReadSeeker, name string) (g persist.Generation, err error) {
	return m.next(ctx, func(dir string) (persist.Generation, string, error) {
		g, err := persist.Import(dir, r, m.options("restore of "+name))
		return g, "the next boot takes the settings of " + name, err
	})
}

// Reset has the next boot come up as from the factory.
func (m *Machine) Reset(ctx context.Context) (g persist.Generation, err error) {
	return m.next(ctx, func(dir string) (persist.Generation, string, error) {
		g, err := persist.Reset(ctx, dir, m.options("factory reset"))
		return g, "the next boot is one as from the factory", err
	})
}

// Backup saves the settings, unless others wait for the next boot, and writes
// those that are in force to w.
func (m *Machine) Backup(ctx context.Context, w io.Writer) (g persist.Generation, err error) {
	var held *HeldError
	if _, err := m.Save(ctx, "backup"); err != nil && !errors.As(err, &held) {
		return g, err
	}
	err = m.mounted(ctx, func(dir string) error {
		g, err = persist.Backup(dir, w)
		return err
	})
	return g, err
}

// Undo calls off what waits for the next boot, and saves the settings of this
// one.
func (m *Machine) Undo(ctx context.Context) (persist.Saved, error) {
	why, err := m.held()
	if err != nil {
		return persist.Saved{}, err
	}
	if why == "" {
		return persist.Saved{}, errors.New("nothing is to be called off: the next boot takes the settings as they are now")
	}
	if err := os.Remove(m.hold); err != nil {
		return persist.Saved{}, fmt.Errorf("call off that %s: %w", why, err)
	}
	return m.Save(ctx, "restore called off")
}

// next puts other settings in force for the next boot.
func (m *Machine) next(ctx context.Context, put func(dir string) (persist.Generation, string, error)) (g persist.Generation, err error) {
	// What is now is saved first: it is what one may want back.
	var held *HeldError
	if _, err := m.Save(ctx, "before other settings"); err != nil && !errors.As(err, &held) {
		return g, err
	}
	err = m.mounted(ctx, func(dir string) error {
		var why string
		if g, why, err = put(dir); err != nil {
			return err
		}
		if err := renameio.WriteFile(m.hold, []byte(why+"\n"), 0o644); err != nil {
			return fmt.Errorf("have no save of this boot put generation %d out of force: %w", g.Number, err)
		}
		return nil
	})
	return g, err
}

func (m *Machine) options(reason string) persist.Options {
	return persist.Options{Reason: reason, Slot: m.boot.Slot, Version: m.boot.Version, Machine: m.identity()}
}

// identity tells this machine from others, and says nothing else about it: a
// machine id should not be told to strangers (machine-id(5)). It is "" on one
// that has none.
func (m *Machine) identity() string {
	text, err := os.ReadFile(m.id)
	id := bytes.TrimSpace(text)
	if err != nil || len(id) == 0 {
		return ""
	}
	sum := sha256.Sum256(append([]byte("ESOS settings of "), id...))
	return hex.EncodeToString(sum[:8])
}

// mounted does something with the partition, mounted.
func (m *Machine) mounted(ctx context.Context, do func(dir string) error) error {
	lock, err := m.take(ctx)
	if err != nil {
		return fmt.Errorf("wait for a save to end: %w", err)
	}
	defer lock.Close()
	return m.attached(do)
}

// attached does something with the partition, for who has the lock.
func (m *Machine) attached(do func(dir string) error) (err error) {
	device, err := m.find()
	if err != nil {
		return &MediumError{err}
	}
	if err := m.attach(device, m.mount); err != nil {
		return &MediumError{err}
	}
	defer func() {
		if e := m.detach(m.mount); e != nil {
			err = errors.Join(err, &MediumError{e})
		}
	}()
	return do(m.mount)
}
