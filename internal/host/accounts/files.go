package accounts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/host"
)

// imageUID is the number of the user that the image has for people; its home is
// made by the image's own file for systemd-tmpfiles.
const imageUID = 1000

func home(name string) string { return filepath.Join("/home", name) }

// writeRecord writes what says that an account is ours, and has its home made
// at boot.
func (m Machine) writeRecord(a Account) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# User %s is set up by ESOS, which takes this file away with the user.\n", a.Name)
	if a.UID != imageUID {
		fmt.Fprintf(&b, "d %s 0700 %s %s -\n", home(a.Name), a.Name, a.Name)
		for _, f := range []string{".bashrc", ".profile"} {
			fmt.Fprintf(&b, "C %s 0644 %s %s - /etc/skel/%s\n", filepath.Join(home(a.Name), f), a.Name, a.Name, f)
		}
	}
	return m.write(record(a.Name), b.String())
}

// setKeys writes an account's keys. sshd reads them as the user.
func (m Machine) setKeys(a Account) error {
	file := filepath.Join(KeyDir, a.Name)
	if len(a.Keys) == 0 {
		return m.removeFile(file)
	}
	return m.write(file, strings.Join(a.Keys, "\n")+"\n")
}

// write puts a file in place that all may read, unless it is there as it
// should be.
func (m Machine) write(name, text string) error {
	path := m.path(name)
	if have, err := os.ReadFile(path); err == nil && string(have) == text {
		return nil
	}
	if err := host.PublicDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := renameio.WriteFile(path, []byte(text), 0o644, renameio.IgnoreUmask()); err != nil {
		return err
	}
	return host.SyncDir(filepath.Dir(path))
}

func (m Machine) removeFile(name string) error {
	path := m.path(name)
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return host.SyncDir(filepath.Dir(path))
}

// makeHome makes a home that is missing, as each boot does. systemd-tmpfiles
// does not follow what a user may have put in the way.
func (m Machine) makeHome(ctx context.Context, name string) error {
	return m.run(ctx, "", "systemd-tmpfiles", "--create", record(name))
}

// endSessions ends all that runs of a user's logins.
func (m Machine) endSessions(ctx context.Context, name string, uid int) error {
	// logind has a file for each user who is logged in; it answers to others
	// with an error.
	if _, err := os.Stat(m.path(fmt.Sprintf("/run/systemd/users/%d", uid))); err == nil {
		if err := m.run(ctx, "", "loginctl", "terminate-user", name); err != nil {
			return err
		}
	}
	// A connection over SSH that is being made, or has nothing open in it, is no
	// session to logind, and would become one without asking anybody again.
	kill := m.Kill
	if kill == nil {
		kill = host.KillUser
	}
	return kill(name, uid)
}

// Home says how much there is in an account's home: bytes, and files. There
// may be none.
func (m Machine) Home(name string) (bytes int64, files int, err error) {
	err = filepath.WalkDir(m.path(home(name)), func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
			files++
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("look at the home of %s: %w", name, err)
	}
	return bytes, files, err
}

// RemoveHome deletes an account's home.
func (m Machine) RemoveHome(name string) error {
	if !filepath.IsLocal(name) || filepath.Base(name) != name {
		return fmt.Errorf("delete the home of %q: it is no user's name", name)
	}
	root, err := os.OpenRoot(m.path("/home"))
	if err != nil {
		return fmt.Errorf("delete the home of %s: %w", name, err)
	}
	defer root.Close()
	// It follows no link out of /home, whatever the user laid there.
	if err := root.RemoveAll(name); err != nil {
		return fmt.Errorf("delete the home of %s: %w", name, err)
	}
	return nil
}
