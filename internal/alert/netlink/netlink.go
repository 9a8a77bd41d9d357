// Package netlink hears what the kernel tells everybody: devices that come, go
// or change (uevents), and network addresses that do.
package netlink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"
)

// Devices hears of devices.
func Devices() (*Source, error) {
	return open(unix.NETLINK_KOBJECT_UEVENT, ueventKernel, "uevents")
}

// Addresses hears of network addresses.
func Addresses() (*Source, error) {
	return open(unix.NETLINK_ROUTE, unix.RTMGRP_IPV4_IFADDR|unix.RTMGRP_IPV6_IFADDR, "network addresses")
}

// Settled hears of devices that udev is done with: the links that documents
// name them by are there.
func Settled() (*Source, error) {
	s, err := open(unix.NETLINK_KOBJECT_UEVENT, ueventUdev, "udev")
	if s != nil {
		s.programs = true
	}
	return s, err
}

// Groups of uevents: the kernel's own messages, and those that udev sends on
// once it has looked at them (linux/lib/kobject_uevent.c; systemd,
// sd-device/device-monitor.c). Sending to either takes CAP_NET_ADMIN.
const (
	ueventKernel = 1
	ueventUdev   = 2
)

// Source is a socket that the kernel's messages come from.
type Source struct {
	conn     *socket.Conn
	what     string
	programs bool // messages come from a program
}

// buffer is how many bytes may wait to be heard: a shelf of disks that is
// switched on tells thousands of things at once.
const buffer = 1 << 20

// largest is more than a message can have (UEVENT_BUFFER_SIZE is 2 KiB).
const largest = 16 << 10

func open(protocol int, groups uint32, what string) (*Source, error) {
	c, err := socket.Socket(unix.AF_NETLINK, unix.SOCK_RAW, protocol, "netlink", nil)
	if err == nil {
		if err = c.Bind(&unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
			err = errors.Join(err, c.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", what, err)
	}
	if err := c.SetReadBuffer(buffer); err != nil {
		return nil, errors.Join(fmt.Errorf("listen to %s: %w", what, err), c.Close())
	}
	return &Source{conn: c, what: what}, nil
}

// ErrLost says that the kernel had more to tell than there was room for: look
// at everything.
var ErrLost = errors.New("messages of the kernel were lost")

// Receive returns the next message.
func (s *Source) Receive(ctx context.Context) ([]byte, error) {
	b := make([]byte, largest)
	for {
		n, from, err := s.conn.Recvfrom(ctx, b, 0)
		switch {
		case errors.Is(err, unix.ENOBUFS):
			return nil, ErrLost
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, fmt.Errorf("listen to %s: %w", s.what, err)
		}
		if nl, ok := from.(*unix.SockaddrNetlink); ok && nl.Pid != 0 && !s.programs {
			continue // a program that plays the kernel
		}
		return b[:n], nil
	}
}

// Close ends it.
func (s *Source) Close() error { return s.conn.Close() }

// Receiver is where messages come from: a *Source.
type Receiver interface {
	Receive(ctx context.Context) ([]byte, error)
}

// Follow calls changed for each message that matters, until ctx ends or the
// source fails.
func Follow(ctx context.Context, r Receiver, log *slog.Logger, matters func(message []byte) bool, changed func()) {
	for {
		m, err := r.Receive(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, os.ErrClosed):
			return
		case errors.Is(err, ErrLost):
			changed()
		case err != nil:
			log.Warn("the kernel is not heard any more; only time tells of changes now", "err", err)
			return
		case matters(m):
			changed()
		}
	}
}
