package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// deb is a package file that apt chose.
type deb struct {
	file string // its name in the archive directory, which holds name and version
	size int64
}

func (d deb) name() string { return d.file[:strings.IndexByte(d.file, '_')] }

func totalSize(debs []deb) (n int64) {
	for _, d := range debs {
		n += d.size
	}
	return n
}

// aptCache asks this machine's apt, with its mirrors, proxies and keys, what a
// machine with nothing installed would need; it changes nothing outside dir.
type aptCache struct{ dir string }

func (a aptCache) archive(d deb) string { return filepath.Join(a.dir, "debs", d.file) }

func (a aptCache) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	status := filepath.Join(a.dir, "status")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, "apt-get", append([]string{
		"-y", "-q",
		"-o", "Dir::State::status=" + status,
		"-o", "Dir::Cache::archives=" + filepath.Join(a.dir, "debs"),
		"-o", "APT::Install-Recommends=false",
		"-o", "APT::Keep-Downloaded-Packages=true",
		"-o", "APT::Sandbox::User=",
		"-o", "Debug::NoLocking=true",
		// Container images empty the archive directory after each run.
		"-o", "DPkg::Post-Invoke::=true", "-o", "APT::Update::Post-Invoke::=true",
	}, args...)...), nil
}

// resolve returns the packages and all they depend on, by file name.
func (a aptCache) resolve(ctx context.Context, names []string) ([]deb, error) {
	// --print-uris leaves out what the archive directory has already.
	empty := filepath.Join(a.dir, "empty")
	if err := os.MkdirAll(filepath.Join(empty, "partial"), 0o755); err != nil {
		return nil, err
	}
	cmd, err := a.command(ctx, append([]string{"-o", "Dir::Cache::archives=" + empty, "--print-uris", "install"}, names...)...)
	if err != nil {
		return nil, err
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask apt what %s need: %w (does `apt-get update` work here?)", strings.Join(names, ", "), explain(err))
	}
	debs := parseURIs(string(out))
	if len(debs) == 0 {
		return nil, fmt.Errorf("ask apt what %s need: it named no package", strings.Join(names, ", "))
	}
	return debs, nil
}

// parseURIs reads lines of the form 'URI' FILE SIZE HASH.
func parseURIs(out string) []deb {
	var debs []deb
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 3 || !strings.HasPrefix(f[0], "'") || !strings.HasSuffix(f[1], ".deb") || !strings.Contains(f[1], "_") {
			continue
		}
		size, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			continue
		}
		debs = append(debs, deb{file: f[1], size: size})
	}
	sort.Slice(debs, func(i, j int) bool { return debs[i].file < debs[j].file })
	return debs
}

func (a aptCache) download(ctx context.Context, names []string) error {
	cmd, err := a.command(ctx, append([]string{"--download-only", "install"}, names...)...)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("download packages: %w\n%s", err, out)
	}
	return nil
}

// explain adds what a command said on standard error.
func explain(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}

// run runs a tool that makes part of the image.
func run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	// mkfs and depmod live in the sbin directories, which users have not always.
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if path, err := lookPath(name); err == nil {
		cmd.Path, cmd.Err = path, nil
	}
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, explain(err))
	}
	return string(out), nil
}

func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}
