package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/esos-project/esos/internal/client"
)

// findSocket looks where daemons put their socket: the system's, and the one
// of `make run` below the current directory.
func findSocket() (string, error) {
	places := []string{filepath.Join(systemRunDir, socketName), filepath.Join("var", "run", socketName)}
	for _, p := range places {
		info, err := os.Stat(p)
		if err != nil {
			continue
		}
		// In a directory of somebody else's, the daemon may be theirs, and
		// what is typed here would go to it.
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
			return "", fmt.Errorf("the socket %s belongs to user %d, neither you nor root; if that is meant, name it with --socket", p, st.Uid)
		}
		return p, nil
	}
	return "", &client.UnreachableError{Where: places[0] + " or ./" + places[1], Err: errors.New("there is no socket")}
}
