package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenTCP binds a TCP port at address (host:port, [v6]:port; an empty host is
// every address, IPv4 and IPv6) and returns the listening socket as a file
// that can be handed to another process.
func ListenTCP(ctx context.Context, address string) (*os.File, error) {
	var lc net.ListenConfig
	// Plain TCP: initiators do not speak MPTCP, and accepting through an MPTCP
	// socket costs every connection a layer.
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		switch {
		case errors.Is(err, unix.EADDRINUSE):
			return nil, fmt.Errorf("listen at %s: another process has this address and port", address)
		case errors.Is(err, unix.EADDRNOTAVAIL):
			return nil, fmt.Errorf("listen at %s: this machine has no such address", address)
		case errors.Is(err, unix.EACCES):
			return nil, fmt.Errorf("listen at %s: ports below 1024 need root or CAP_NET_BIND_SERVICE", address)
		}
		return nil, fmt.Errorf("listen at %s: %w", address, err)
	}
	defer l.Close() // the file is a duplicate
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", address, err)
	}
	return f, nil
}

// ListenUnix makes a Unix socket at path that only its owner may connect to,
// and replaces what is there. It is bound under another name first, so that at
// no moment anybody else could connect.
func ListenUnix(path string) (*os.File, error) {
	hidden := path + ".new"
	if err := os.Remove(hidden); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("make socket %s: %w", path, errorOf(err))
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		if errors.Is(err, syscall.EINVAL) {
			return nil, fmt.Errorf("make socket %s: the path is too long (107 bytes at most); choose a shorter run directory", path)
		}
		return nil, fmt.Errorf("make socket %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	if err := os.Chmod(hidden, 0o600); err != nil {
		return nil, fmt.Errorf("make socket %s: %w", path, errorOf(err))
	}
	f, err := l.File()
	if err != nil {
		return nil, fmt.Errorf("make socket %s: %w", path, err)
	}
	if err := os.Rename(hidden, path); err != nil {
		f.Close()
		return nil, fmt.Errorf("make socket %s: %w", path, err)
	}
	return f, nil
}
