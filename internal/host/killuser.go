package host

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// KillUser kills all processes that run as a user, other than root, and those of
// sshd that serve one; it returns when they are gone.
func KillUser(name string, uid int) error {
	if uid <= 0 || name == "" {
		return fmt.Errorf("kill what runs as user %d: that is the system itself", uid)
	}
	// A process that is just making another one may leave it behind.
	for range 50 {
		found, err := killOnce(name, uid)
		if err != nil || !found {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("kill what runs as user %d: there is always more of it", uid)
}

// killOnce kills what runs as a user now, and says whether anything did.
func killOnce(name string, uid int) (found bool, err error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return false, fmt.Errorf("kill what runs as user %d: %w", uid, err)
	}
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		// Taken first, the descriptor stays this process's, whoever gets its
		// number next.
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
			continue // it has ended, and is gone or about to be
		}
		if err != nil {
			return found, fmt.Errorf("kill what runs as user %d: look at process %d: %w", uid, pid, err)
		}
		if runsAs(pid, uid) || runsAs(pid, 0) && logsIn(pid, name) {
			found = true
			if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
				_ = unix.Close(fd)
				return found, fmt.Errorf("kill process %d of user %d: %w", pid, uid, err)
			}
		}
		_ = unix.Close(fd)
	}
	return found, nil
}

// runsAs says whether a process has a user's number, real, effective or saved,
// and is alive. The owner of its directory in /proc does not tell: that of
// sshd's is root, whoever it works for (proc(5), "dumpable").
func runsAs(pid, uid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 1 && f[0] == "State:" && (f[1] == "Z" || f[1] == "X") {
			return false // dead, and waits to be noticed
		}
		if len(f) > 3 && f[0] == "Uid:" {
			return slices.Contains(f[1:4], strconv.Itoa(uid))
		}
	}
	return false
}

// logsIn says whether a process is sshd's for a user. Until the login is
// complete, which takes as long as logind does, nothing runs as the user; then
// it goes on whatever was said about the user meanwhile. sshd writes who it is
// for into its arguments, behind the user's name what the process does:
// "sshd-session: ann [priv]".
func logsIn(pid int, name string) bool {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || string(comm) != "sshd-session\n" {
		return false
	}
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.HasPrefix(string(title), "sshd-session: "+name+" [")
}
