// Package msmtp sets up how programs of the machine send mail: cron, mdadm and
// smartd hand theirs to sendmail, which is msmtp here.
package msmtp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/host"
)

// Files are msmtp's settings, and who gets the mail of the machine's users.
type Files struct {
	Config  string // /etc/msmtprc; it holds the password
	Aliases string // /etc/aliases
}

// Machine is the machine whose root is at Root.
type Machine struct{ Root string }

const (
	configPath  = "etc/msmtprc"
	aliasesPath = "etc/aliases"
	// group may read the settings. Debian has it for a msmtp that takes its
	// rights (setgid); the image's does not.
	group = "msmtp"
)

// Read returns the files as they are; "" for one that is not there.
func (m Machine) Read() (f Files, err error) {
	for _, r := range []struct {
		path string
		into *string
	}{{configPath, &f.Config}, {aliasesPath, &f.Aliases}} {
		text, err := os.ReadFile(filepath.Join(m.Root, r.path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return f, fmt.Errorf("read how programs send mail: %w", err)
		}
		*r.into = string(text)
	}
	return f, nil
}

// Write replaces the files. Settings with a password can be read by root and
// the group msmtp only. Programs of other users then send no mail: whoever can
// have msmtp log in can have it print the password, too (msmtp --debug).
func (m Machine) Write(f Files) error {
	gid, mode := 0, fs.FileMode(0o644)
	if strings.Contains(f.Config, "\npassword ") {
		mode = 0o640
		if g, err := user.LookupGroup(group); err == nil && m.Root == "/" {
			if gid, err = strconv.Atoi(g.Gid); err != nil {
				return fmt.Errorf("group %s: %w", group, err)
			}
		}
	}
	if err := m.write(configPath, f.Config, mode, gid); err != nil {
		return fmt.Errorf("set up how programs send mail: %w", err)
	}
	if err := m.write(aliasesPath, f.Aliases, 0o644, 0); err != nil {
		return fmt.Errorf("set up who gets the mail of programs: %w", err)
	}
	return host.SyncDir(filepath.Join(m.Root, "etc"))
}

func (m Machine) write(path, text string, mode fs.FileMode, gid int) error {
	full := filepath.Join(m.Root, path)
	if text == "" {
		if err := os.Remove(full); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	t, err := renameio.NewPendingFile(full, renameio.WithPermissions(mode&0o600))
	if err != nil {
		return err
	}
	defer func() { _ = t.Cleanup() }() // nothing is left of one that failed
	if _, err := t.WriteString(text); err != nil {
		return err
	}
	if gid != 0 { // before others can read it
		if err := t.Chown(0, gid); err != nil {
			return err
		}
	}
	if err := t.Chmod(mode); err != nil {
		return err
	}
	return t.CloseAtomicallyReplace()
}
