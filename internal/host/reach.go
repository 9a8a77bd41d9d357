package host

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Reach says why nothing can be reached at a TCP address, nil if something
// listens there. It says nothing and is gone: what takes long when there is
// nobody (a login to an array that is off) is asked this first.
func (Linux) Reach(ctx context.Context, address string) error {
	var d net.Dialer
	d.SetMultipathTCP(false)
	c, err := d.DialContext(ctx, "tcp", address)
	switch {
	case err == nil:
		return c.Close()
	case ctx.Err() != nil, errors.Is(err, unix.ETIMEDOUT):
		return fmt.Errorf("nothing answers at %s; is it on, and is there a way to it (ip route get, ping)?", address)
	case errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("%s is up, and nothing listens at that port", address)
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return fmt.Errorf("there is no way to %s from this machine now", address)
	}
	return fmt.Errorf("reach %s: %w", address, err)
}
