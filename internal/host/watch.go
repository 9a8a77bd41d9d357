package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// WatchDir calls changed after files below a directory were written, made,
// renamed or removed, until ctx ends; several changes may be one call
// (inotify(7)). The directory must be there; those in it may come later.
func WatchDir(ctx context.Context, dir string, changed func()) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	if err := watchTree(fd, dir); err != nil {
		return errors.Join(fmt.Errorf("watch %s: %w", dir, err), unix.Close(fd))
	}
	f := os.NewFile(uintptr(fd), "inotify") // its reads wait in the runtime's poller
	stop := context.AfterFunc(ctx, func() { _ = f.Close() })
	defer stop()
	buf := make([]byte, 64<<10)
	for {
		n, err := f.Read(buf)
		if err == nil && directoryCame(buf[:n]) {
			err = watchTree(fd, dir)
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return errors.Join(fmt.Errorf("watch %s: %w", dir, err), f.Close())
		}
		changed()
	}
}

// watchTree watches a directory and those in it; it is told once of one that
// is watched already.
func watchTree(fd int, dir string) error {
	const events = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_CREATE | unix.IN_ONLYDIR
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_, err = unix.InotifyAddWatch(fd, path, events)
		}
		if path != dir && errors.Is(err, fs.ErrNotExist) {
			return nil // it is gone again
		}
		return err
	})
}

// directoryCame says whether a directory is among what came.
func directoryCame(events []byte) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		if mask&unix.IN_ISDIR != 0 && mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0 {
			return true
		}
		events = events[min(len(events), unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(events[12:]))):]
	}
	return false
}
