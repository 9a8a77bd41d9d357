package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Times of WatchArrays.
const (
	arraysWait  = 5 * time.Second        // for md to be loaded
	arraysCheck = 500 * time.Millisecond // whether ctx has ended
)

// WatchArrays calls changed when a RAID array came, went or changed, until ctx
// ends: a disk of it failed, a resync began or ended. The kernel tells that to
// whoever polls mdstat, /proc/mdstat (md_new_event in drivers/md/md.c); of a
// disk that failed nobody else hears.
func WatchArrays(ctx context.Context, mdstat string, changed func()) error {
	for {
		f, err := os.Open(mdstat)
		if errors.Is(err, fs.ErrNotExist) { // md is not loaded: there is no array
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(arraysWait):
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("watch RAID arrays: %w", err)
		}
		changed()
		err = pollArrays(ctx, f, changed)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("watch RAID arrays: %w", err)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

func pollArrays(ctx context.Context, f *os.File, changed func()) error {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}
	for ctx.Err() == nil {
		// What was told counts as heard once the file was read.
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, f); err != nil {
			return err
		}
		for {
			n, err := unix.Poll(fds, int(arraysCheck.Milliseconds()))
			if ctx.Err() != nil {
				return nil
			}
			if err != nil && !errors.Is(err, unix.EINTR) {
				return err
			}
			if n > 0 && fds[0].Revents&(unix.POLLPRI|unix.POLLERR) != 0 {
				break
			}
		}
		changed()
	}
	return nil
}
