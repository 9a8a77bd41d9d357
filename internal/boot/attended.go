package boot

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Attended waits for somebody who presses Enter on one of the consoles, and
// says whether there is one. root is put before the path of each file; "" but
// in tests.
func Attended(ctx context.Context, root string, wait time.Duration) bool {
	var fds []unix.PollFd
	for _, c := range consoles(root) {
		f, err := os.OpenFile(c.path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		defer f.Close()
		fd := int(f.Fd())
		_ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) // what was typed before was no answer
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	const look = 200 * time.Millisecond
	for end := time.Now().Add(wait); time.Now().Before(end) && ctx.Err() == nil; {
		n, err := unix.Poll(fds, int(look.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			time.Sleep(look)
		}
		for i := range fds {
			switch {
			case n <= 0:
			case fds[i].Revents&unix.POLLIN != 0:
				return true
			case fds[i].Revents != 0:
				fds[i].Fd = -1 // nobody is at the other end: do not look again
			}
		}
	}
	return false
}
