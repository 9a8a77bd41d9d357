package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// supervisor is systemd, if it started this process and wants to hear of it
// (sd_notify(3)). The zero value hears nothing.
type supervisor struct {
	conn  *net.UnixConn
	every time.Duration // between signs of life; 0 if none are wanted
}

// findSupervisor connects to the one that the environment names. It comes
// before the process confines itself: later no path leads to it.
func findSupervisor() (supervisor, error) {
	var s supervisor
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return s, nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return s, fmt.Errorf("connect to the one that started this process: %w", err)
	}
	s.conn = conn
	pid, limit := os.Getenv("WATCHDOG_PID"), os.Getenv("WATCHDOG_USEC")
	if limit == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return s, nil
	}
	us, err := strconv.ParseInt(limit, 10, 64)
	if err != nil || us <= 0 {
		return s, fmt.Errorf("WATCHDOG_USEC=%q is no time in microseconds", limit)
	}
	s.every = time.Duration(us) * time.Microsecond / 3
	return s, nil
}

// tell says what state the process is in. A supervisor that cannot be reached
// draws its own conclusions.
func (s supervisor) tell(state string) {
	if s.conn != nil {
		_, _ = s.conn.Write([]byte(state))
	}
}

// feed gives signs of life for as long as alive returns. When it does not, the
// supervisor ends this process, with a trace of where it hangs.
func (s supervisor) feed(ctx context.Context, alive func()) {
	if s.every == 0 {
		return
	}
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		alive()
		s.tell("WATCHDOG=1")
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
