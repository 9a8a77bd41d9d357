// Package terminal runs programs in real terminals, for tests.
package terminal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a real terminal (a pty) with a program in it.
type Terminal struct {
	Cmd *exec.Cmd

	t      testing.TB
	w, h   int
	master *os.File
	mu     sync.Mutex
	out    bytes.Buffer
	ended  chan struct{}
	err    error
}

// Run runs a program in a terminal of a size, until the end of the test.
func Run(t testing.TB, w, h int, c *exec.Cmd) *Terminal {
	t.Helper()
	master, slave, err := pty(w, h)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		_ = master.Close()
		t.Fatal(err)
	}
	x := &Terminal{Cmd: c, t: t, w: w, h: h, master: master, ended: make(chan struct{})}
	var read sync.WaitGroup
	read.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			x.mu.Lock()
			x.out.Write(b[:n])
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	go func() {
		x.err = c.Wait()
		close(x.ended)
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-x.ended
		_ = master.Close()
		read.Wait()
	})
	return x
}

func pty(w, h int) (master, slave *os.File, err error) {
	if master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(w), Row: uint16(h)})
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		_ = master.Close()
		return nil, nil, fmt.Errorf("make a terminal: %w", err)
	}
	// Reads of a file that can be closed meanwhile.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, nil, err
	}
	dup, err := unix.Dup(fd)
	_ = master.Close()
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(dup), "ptmx"), slave, nil
}

// Type types text.
func (x *Terminal) Type(text string) {
	x.t.Helper()
	if _, err := x.master.WriteString(text); err != nil {
		x.t.Fatal(err)
	}
}

// Output is all that was written so far.
func (x *Terminal) Output() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.out.String()
}

// Wait waits until text was written.
func (x *Terminal) Wait(text string) {
	x.t.Helper()
	for end := time.Now().Add(30 * time.Second); !bytes.Contains([]byte(x.Output()), []byte(text)); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			x.t.Fatalf("%q was not written: %q", text, x.Output())
		}
	}
}

// Shows waits until text is on the screen of a program that draws only what
// changed, and all of it at Ctrl-L.
func (x *Terminal) Shows(text string) {
	x.t.Helper()
	from := len(x.Output())
	for end := time.Now().Add(30 * time.Second); !bytes.Contains([]byte(x.Output()[from:]), []byte(text)); time.Sleep(500 * time.Millisecond) {
		if time.Now().After(end) {
			x.t.Fatalf("%q is not shown: %q", text, x.Output()[from:])
		}
		x.Type("\x0c")
	}
}

// Ends waits for the program's end, and returns its exit code.
func (x *Terminal) Ends() int {
	x.t.Helper()
	select {
	case <-x.ended:
	case <-time.After(30 * time.Second):
		x.t.Fatalf("the program does not end: %q", x.Output())
	}
	var failed *exec.ExitError
	if x.err != nil && !errors.As(x.err, &failed) {
		x.t.Fatal(x.err)
	}
	return x.Cmd.ProcessState.ExitCode()
}
