package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// PublicDir makes a directory and those above it that are missing, durably, for
// all to read whatever the umask is: daemons that are not root read what is in
// it.
func PublicDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := PublicDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(dir))
}
