package medium

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Tools runs the programs that make file systems. The builder brings its own,
// of one Debian release, so that the same inputs give the same bytes on every
// machine; an appliance that installs another uses what it has (HostTools).
type Tools interface {
	Command(ctx context.Context, name string, args ...string) *exec.Cmd
}

// HostTools are this machine's own programs.
type HostTools struct{}

// Command finds name also where administrators' programs are, which is not in
// everybody's PATH.
func (HostTools) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	path, err := exec.LookPath(name)
	if err != nil {
		for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
			if p := filepath.Join(dir, name); executable(p) {
				path = p
				break
			}
		}
	}
	if path == "" {
		path = name // running it says that it is missing
	}
	return exec.CommandContext(ctx, path, args...)
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0
}

// run runs a prepared command and puts what it said into the error.
func run(cmd *exec.Cmd, name string) error {
	var said bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &said
	}
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(said.String())
		if text == "" {
			text = "it said nothing"
		}
		return fmt.Errorf("%s: %w: %s", name, err, text)
	}
	return nil
}
