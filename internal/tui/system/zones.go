package system

import (
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/tui/frame"
)

// zoneOptions are the time zones of the machine, with how far each is from UTC
// at a time.
func zoneOptions(files fs.FS, at time.Time) ([]frame.Option, error) {
	var o []frame.Option
	err := fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (name == "posix" || name == "right"): // the same once more
			return fs.SkipDir
		case e.IsDir() || strings.Contains(name, ".") || name == "localtime" || name == "posixrules" || name == "Factory":
			return nil
		}
		if !isZone(files, name) {
			return nil
		}
		cells := []string{name, ""}
		if z, err := time.LoadLocation(name); err == nil {
			cells[1] = at.In(z).Format("15:04 -07:00")
		}
		o = append(o, frame.Option{Value: name, Cells: cells})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the machine's time zones: %w", err)
	}
	return o, nil
}

// isZone says whether a file is a time zone (RFC 9636 3.1).
func isZone(files fs.FS, name string) bool {
	f, err := files.Open(name)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	var magic [4]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && string(magic[:]) == "TZif"
}
