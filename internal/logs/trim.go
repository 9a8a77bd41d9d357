package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// small is the size of a log that is left as it is: its memory is not worth
// that somebody who looks for a message has to look in an archive.
const small = 64 << 10

// turnedOver are the names that logrotate gives: NAME.1, NAME.2.gz, NAME-20260101.
var turnedOver = regexp.MustCompile(`(\.[0-9]+|-[0-9]{8,})(\.(gz|xz|bz2|zst))?$`)

// ofLogins are no text: programs write records at their places, and find them
// there again.
func ofLogins(name string) bool { return slices.Contains([]string{"wtmp", "btmp", "faillog"}, name) }

// giveBack gives back the memory of what is in an archive: files that were
// turned over go, those that are being written are cut.
func giveBack(dir string, done copied) error {
	return eachLog(dir, func(path string, info fs.FileInfo) error {
		n, archived := done[path]
		name := filepath.Base(path)
		switch {
		case !archived || ofLogins(name):
			return nil
		case turnedOver.MatchString(name):
			if info.Size() != n {
				return nil // logrotate has moved another one there
			}
			return removeLog(path)
		case info.Size() < small:
			return nil
		}
		return cut(path, n)
	})
}

// cut removes the beginning of a log that a program is writing to. Programs
// append to their logs (O_APPEND), so that what they write next comes after
// what is left; what they write in the instant between the two is lost, as
// with logrotate's copytruncate.
func cut(path string, beginning int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("give back the memory of %s: %w", path, err)
	}
	defer f.Close()
	rest, err := io.ReadAll(io.NewSectionReader(f, beginning, 1<<62))
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil && len(rest) > 0 {
		_, err = f.Write(rest)
	}
	if err != nil {
		return fmt.Errorf("give back the memory of %s: %w", path, err)
	}
	return nil
}

// capAt keeps logs that cannot be archived from filling the memory: the oldest
// that were turned over go, then the beginnings of the largest. It returns
// what it dropped.
func capAt(dir string, limit int64) ([]string, error) {
	type file struct {
		path string
		size int64
		when time.Time
	}
	var old, live []file
	var total int64
	err := eachLog(dir, func(path string, info fs.FileInfo) error {
		total += info.Size()
		f := file{path, info.Size(), info.ModTime()}
		switch name := filepath.Base(path); {
		case turnedOver.MatchString(name):
			old = append(old, f)
		case !ofLogins(name):
			live = append(live, f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("keep the logs small: %w", err)
	}
	slices.SortFunc(old, func(a, b file) int { return a.when.Compare(b.when) })
	slices.SortFunc(live, func(a, b file) int { return int(b.size - a.size) })
	var dropped []string
	for _, f := range old {
		if total <= limit {
			return dropped, nil
		}
		if err := removeLog(f.path); err != nil {
			return dropped, err
		}
		total -= f.size
		dropped = append(dropped, f.path)
	}
	for _, f := range live {
		const keep = 1 << 20
		if total <= limit || f.size <= keep {
			break
		}
		if err := cut(f.path, f.size-keep); err != nil {
			return dropped, err
		}
		total -= f.size - keep
		dropped = append(dropped, "the beginning of "+f.path)
	}
	return dropped, nil
}

func removeLog(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop the log %s: %w", strings.TrimSpace(path), err)
	}
	return nil
}
