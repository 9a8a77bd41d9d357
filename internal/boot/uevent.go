package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ueventGroup is the kernel's own multicast group; udev's is another.
const ueventGroup = 1

// Modaliases implements Linux with the messages that the kernel sends for each
// device that comes and goes.
func (*Kernel) Modaliases(ctx context.Context) (<-chan string, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("listen for new devices: %w", err)
	}
	// Enough for all devices of a large machine while modules are loaded; the
	// messages of one are some hundred bytes.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: ueventGroup}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listen for new devices: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "uevents") // not blocking: closing it ends a read
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	aliases := make(chan string)
	go func() {
		defer close(aliases)
		defer socket.Close()
		defer stop()
		send := func(alias string) bool {
			select {
			case aliases <- alias:
				return true
			case <-ctx.Done():
				return false
			}
		}
		buf := make([]byte, 16<<10)
		for {
			n, err := socket.Read(buf)
			switch {
			case errors.Is(err, unix.ENOBUFS):
				if !send("") {
					return
				}
			case err != nil:
				return
			default:
				if alias := newDevice(buf[:n]); alias != "" && !send(alias) {
					return
				}
			}
		}
	}()
	return aliases, nil
}

// newDevice returns the modalias in a message that a device was added, "" for
// other messages. A message is "ACTION@PATH" and then KEY=VALUE, each ended by
// a zero byte (lib/kobject_uevent.c).
func newDevice(message []byte) string {
	fields := bytes.Split(message, []byte{0})
	if !bytes.HasPrefix(fields[0], []byte("add@")) {
		return ""
	}
	for _, f := range fields[1:] {
		if alias, ok := bytes.CutPrefix(f, []byte("MODALIAS=")); ok {
			return string(bytes.TrimSpace(alias))
		}
	}
	return ""
}
