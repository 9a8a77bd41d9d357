package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Command is a process to start that outlives whoever starts it.
type Command struct {
	Path   string
	Args   []string // after the name; they are visible to every user: no secrets
	Stderr *os.File // where it writes what it dies of
	Files  []*os.File
}

// Process is a started Command.
type Process struct {
	PID  int
	done chan struct{}
	err  error
}

// Start starts c in a session of its own, so that neither a Ctrl-C at the
// terminal nor the end of this process reaches it. Files become its
// descriptors 3 and up.
func Start(c Command) (*Process, error) {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Stderr, cmd.Stdout = c.Stderr, c.Stderr
	cmd.ExtraFiles = c.Files
	cmd.Dir = "/"
	// Nothing of this process's environment is the target's business; Go's own
	// switches are what an engineer sets to find a fault.
	for _, name := range []string{"GODEBUG", "GOTRACEBACK", "GOCOVERDIR", "GOMAXPROCS"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	if cmd.Env == nil {
		cmd.Env = []string{}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	p := &Process{PID: cmd.Process.Pid, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the process ended, once Done is closed.
func (p *Process) Err() error { return p.err }

// Terminate asks process pid to end and returns when it is gone; after patience
// it is killed.
func Terminate(pid int, patience time.Duration) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		return fmt.Errorf("end process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	for _, step := range []struct {
		signal  unix.Signal
		timeout time.Duration
	}{{unix.SIGTERM, patience}, {unix.SIGKILL, 5 * time.Second}} {
		if err := unix.PidfdSendSignal(fd, step.signal, nil, 0); err != nil {
			if errors.Is(err, unix.ESRCH) {
				return nil
			}
			return fmt.Errorf("send %s to process %d: %w", step.signal, pid, err)
		}
		if ended(fd, step.timeout) {
			return nil
		}
	}
	return fmt.Errorf("process %d does not end, not even when killed", pid)
}

// ended waits until the process of pidfd is gone, at most for timeout.
func ended(pidfd int, timeout time.Duration) bool {
	deadline := time.Now().Add(timeout)
	for {
		left := time.Until(deadline)
		if left < 0 {
			return false
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if n > 0 {
			return true
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false
		}
	}
}

// LockFile takes the lock that path stands for until the returned file is
// closed or the process ends.
func LockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, errorOf(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, ErrLocked)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// ErrLocked says that another process has the lock.
var ErrLocked = errors.New("another process has it")

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Runs reports whether process pid runs the program at path. Linux gives the
// numbers of ended processes to others, so a number alone says nothing.
func Runs(pid int, path string) bool {
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	program, _, _ := bytes.Cut(args, []byte{0})
	return filepath.Base(string(program)) == filepath.Base(path)
}
