package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tools runs programs out of a root of their own, of the same Debian release
// as the image: what they write then does not depend on the building machine.
// They are started by that root's own loader, so they need no chroot and see
// the machine's paths.
type Tools struct {
	dir   string
	epoch time.Time
}

// OpenTools returns the tools that a build left in a work directory.
func OpenTools(work string, epoch time.Time) (*Tools, error) {
	t := &Tools{dir: filepath.Join(work, "tools"), epoch: epoch}
	if _, err := os.Stat(t.loader()); err != nil {
		return nil, fmt.Errorf("there are no tools in %s: run mkesos build first: %w", work, err)
	}
	return t, nil
}

const libraries = "usr/lib/x86_64-linux-gnu"

func (t *Tools) loader() string { return filepath.Join(t.dir, libraries, "ld-linux-x86-64.so.2") }

// Path is where a file of the tools' root lies: GRUB's modules, for instance.
func (t *Tools) Path(name string) string { return filepath.Join(t.dir, name) }

// Command returns a command that runs a program of the tools' root.
func (t *Tools) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	program := filepath.Join(t.dir, "usr/bin", name)
	if _, err := os.Stat(program); err != nil {
		program = filepath.Join(t.dir, "usr/sbin", name)
	}
	cmd := exec.CommandContext(ctx, t.loader(), append([]string{
		"--argv0", name,
		"--library-path", filepath.Join(t.dir, libraries), program}, args...)...)
	cmd.Env = []string{
		"PATH=" + filepath.Join(t.dir, "usr/bin") + ":" + filepath.Join(t.dir, "usr/sbin"),
		"LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/nonexistent",
		"GCONV_PATH=" + filepath.Join(t.dir, libraries, "gconv"),
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(t.epoch.Unix(), 10),
	}
	return cmd
}

// Run runs a tool and returns what it printed.
func (t *Tools) Run(ctx context.Context, name string, args ...string) (string, error) {
	return run(t.Command(ctx, name, args...), name)
}

// run adds to an error what the command said on standard error.
func run(cmd *exec.Cmd, name string) (string, error) {
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			if said := lastLines(exit.Stderr, 20); said != "" {
				return "", fmt.Errorf("%s: %w\n%s", name, err, said)
			}
		}
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return string(out), nil
}

func lastLines(text []byte, n int) string {
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// makeTools unpacks the tools' packages; none of their scripts runs.
func (b *builder) makeTools(ctx context.Context) error {
	packages := slices.Sorted(slices.Values(b.Spec.Tools))
	inputs := []any{"tools 1", b.Spec.Suite, packages}
	return b.step(ctx, "tools", inputs, []string{b.tools.loader()}, func(ctx context.Context) error {
		if err := os.RemoveAll(b.tools.dir); err != nil {
			return err
		}
		return b.mmdebstrap(ctx, bootstrap{
			variant: "extract", packages: packages, target: b.tools.dir, format: "directory",
		})
	})
}
