// Package sandbox takes privileges away from the process that calls it.
package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Unprivileged is the user and group that own nothing ("nobody" on Linux).
const Unprivileged = 65534

// Confinement says what Confine is to leave.
type Confinement struct {
	// Dir becomes the working directory, and the one place where files may be
	// opened; it is given to the unprivileged user if root calls.
	Dir string
	// Files is how many descriptors the process may need.
	Files uint64
}

// Confine gives up what a process that only serves descriptors it was handed
// does not need: root becomes an unprivileged user, no program that it starts
// can gain privileges, core dumps (which would hold secrets) are off, files
// outside of Dir cannot be opened, TCP ports cannot be bound or connected to
// (Landlock does not see MPTCP, so this one hinders rather than prevents). It
// holds for all threads and cannot be undone. What the kernel is too old
// for is left out; held says in words what holds.
func Confine(c Confinement) (held []string, err error) {
	// The directory is entered first: it may lie where only root can go.
	if err := os.Chdir(c.Dir); err != nil {
		return nil, fmt.Errorf("enter directory %s: %w", c.Dir, err)
	}
	raiseFiles(c.Files)
	if os.Geteuid() == 0 {
		if err := dropRoot(); err != nil {
			return nil, err
		}
		held = append(held, fmt.Sprintf("user %d", Unprivileged))
	}
	if _, _, e := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); e != 0 {
		return held, fmt.Errorf("set no_new_privs: %w", e)
	}
	held = append(held, "no new privileges")
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return held, fmt.Errorf("forbid core dumps: %w", err)
	}
	held = append(held, "no core dumps")
	if version, err := llsys.LandlockGetABIVersion(); err == nil && version > 0 {
		if err := landlock.V8.BestEffort().Restrict(landlock.RWDirs(".")); err != nil {
			return held, fmt.Errorf("confine to directory %s: %w", c.Dir, err)
		}
		held = append(held, fmt.Sprintf("landlock %d", version))
	}
	return held, nil
}

// dropRoot makes every thread of the process an unprivileged user's. The
// working directory goes with it.
func dropRoot() error {
	if err := giveAway("."); err != nil {
		return err
	}
	if err := syscall.Setgroups(nil); err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("give up groups: %w", err)
	}
	if err := syscall.Setgid(Unprivileged); err != nil {
		return fmt.Errorf("become group %d: %w", Unprivileged, err)
	}
	// From a non-zero user the kernel clears all capabilities (capabilities(7)).
	if err := syscall.Setuid(Unprivileged); err != nil {
		return fmt.Errorf("become user %d: %w", Unprivileged, err)
	}
	return nil
}

// giveAway makes the unprivileged user own a directory and the files in it.
func giveAway(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read state directory: %w", err)
	}
	names := []string{dir}
	for _, e := range entries {
		names = append(names, dir+"/"+e.Name())
	}
	for _, n := range names {
		if err := os.Lchown(n, Unprivileged, Unprivileged); err != nil {
			return fmt.Errorf("give state directory to user %d: %w", Unprivileged, err)
		}
	}
	return nil
}

// raiseFiles lets the process have n descriptors, or as many as it may.
func raiseFiles(n uint64) {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		return
	}
	if lim.Max < n && unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}) == nil {
		return
	}
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: lim.Max, Max: lim.Max})
}

// String joins what holds for a log line.
func String(held []string) string {
	if len(held) == 0 {
		return "nothing"
	}
	return strings.Join(held, ", ")
}
