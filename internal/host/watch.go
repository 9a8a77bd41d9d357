package host

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// WatchDir calls changed after files of a directory were written, made,
// renamed or removed, until ctx ends; several changes may be one call
// (inotify(7)). The directory must be there.
func WatchDir(ctx context.Context, dir string, changed func()) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	const events = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_ONLYDIR
	if _, err := unix.InotifyAddWatch(fd, dir, events); err != nil {
		return errors.Join(fmt.Errorf("watch %s: %w", dir, err), unix.Close(fd))
	}
	f := os.NewFile(uintptr(fd), "inotify") // its reads wait in the runtime's poller
	stop := context.AfterFunc(ctx, func() { _ = f.Close() })
	defer stop()
	buf := make([]byte, 64<<10)
	for {
		if _, err := f.Read(buf); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return errors.Join(fmt.Errorf("watch %s: %w", dir, err), f.Close())
		}
		changed()
	}
}
