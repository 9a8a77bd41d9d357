// Package firstboot makes what no two machines may share and what an image
// therefore lacks: the host keys of SSH, the names that this machine has as an
// initiator, and the administrator's first password. It makes what is
// missing and leaves what is there, so that it may run at each boot.
//
//	Machine.Prepare    what others wait for: keys, names, the console's password
//	Machine.OpenAPI    once the daemon answers: its administrator, its address
//	Machine.Settle     after a password was changed: takes it off the console
package firstboot

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/host"
)

// Administrator is the name of the user that the image has for people, and of
// the API's first.
const Administrator = "admin"

// Seed is the document that an array may begin with.
const Seed = "etc/esos/esos.yaml"

// Machine is what is prepared.
type Machine struct {
	// Root is the directory of its root file system: / on the machine itself.
	Root string
	// Listen is where the API of an array that began without a document is to
	// be found: host:port.
	Listen string
	Log    *slog.Logger
}

// First is what a run of Prepare begins and OpenAPI ends: the password that
// was made, if one was.
type First struct {
	password string
	console  bool // it is the administrator's at the console
	api      bool // it is the API's
	reach    string
	print    string // fingerprint of the API's certificate
}

// done is the file that says that all has been done. It holds the digest of
// the password's hash, to notice when another takes its place.
const done = "var/lib/esos/first-boot"

// Done says whether nothing is left to do.
func (m Machine) Done() bool {
	_, err := os.Stat(m.path(done))
	return err == nil
}

func (m Machine) path(name string) string { return filepath.Join(m.Root, name) }

// has says whether a file is there and not empty.
func (m Machine) has(name string) (bool, error) {
	st, err := os.Stat(m.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && st.Size() > 0, err
}

// write puts a file in place, durably.
func (m Machine) write(name string, data []byte, mode fs.FileMode) error {
	path := m.path(name)
	if err := host.MakeDir(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := renameio.WriteFile(path, data, mode, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return host.SyncDir(filepath.Dir(path))
}

// Prepare makes the keys, the names and the console's password that are
// missing. What fails is told; the rest is made all the same.
func (m Machine) Prepare() (First, error) {
	f := First{}
	err := errors.Join(m.hostKeys(), m.initiatorName(), m.nvmeHost())
	locked, lerr := m.locked(Administrator)
	if lerr == nil && locked {
		f.password = newPassword()
		lerr = m.setPassword(Administrator, f.password)
		f.console = lerr == nil
		if lerr == nil {
			lerr = m.announce(f)
		}
	}
	return f, errors.Join(err, lerr)
}
