package image

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// bootstrap is one run of mmdebstrap.
type bootstrap struct {
	variant  string
	packages []string
	hooks    []string // options that add hooks
	target   string
	format   string
}

// packagesEpoch is the SOURCE_DATE_EPOCH of installing packages. It shows in
// the dates of locked passwords only, and is no build's own: packages are not
// installed anew because the source has another commit.
const packagesEpoch = 1754697600 // 2025-08-09, trixie's release

// mmdebstrap installs packages into a new root. Packages are taken from and
// left in Downloads, so that the next build fetches only what is new.
func (b *builder) mmdebstrap(ctx context.Context, s bootstrap) error {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return fmt.Errorf("%w (scripts/install-deps image installs it)", err)
	}
	sources := filepath.Join(b.Work, "sources.list")
	lines := strings.Join(b.Mirrors.Sources(b.Spec.Suite, b.Spec.Sections), "\n") + "\n"
	if err := os.WriteFile(sources, []byte(lines), 0o600); err != nil {
		return err
	}
	partial := s.target + ".new"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	args := []string{
		"--mode=root", "--variant=" + s.variant, "--format=" + s.format,
		"--aptopt=Acquire::Languages \"none\"",
		"--aptopt=APT::Install-Recommends \"false\"",
		// The packages' own answers, where a file of theirs is there already.
		"--dpkgopt=force-confdef", "--dpkgopt=force-confold",
		"--skip=download/empty", "--skip=essential/unlink",
		"--setup-hook=mkdir -p \"$1\"/var/cache/apt/archives",
		"--setup-hook=sync-in '" + b.Downloads + "' /var/cache/apt/archives",
	}
	args = append(args, s.hooks...)
	args = append(args,
		"--customize-hook=sync-out /var/cache/apt/archives '"+b.Downloads+"'",
		"--include="+strings.Join(s.packages, ","), b.Spec.Suite, partial, sources)
	cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+strconv.Itoa(packagesEpoch))
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "LC_ALL=C.UTF-8")
	if err := b.follow(cmd); err != nil {
		return err
	}
	return os.Rename(partial, s.target)
}

// follow runs a command and says what it says, line by line. All of it is in
// a log that the error names.
func (b *builder) follow(cmd *exec.Cmd) error {
	name := filepath.Join(b.Work, filepath.Base(cmd.Path)+".log")
	log, err := os.Create(name)
	if err != nil {
		return err
	}
	defer log.Close()
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	var last []string
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			line := lines.Text()
			fmt.Fprintln(log, line)
			if last = append(last, line); len(last) > 20 {
				last = last[1:]
			}
			b.Progress.Say("%s", strings.TrimPrefix(strings.TrimPrefix(line, "I: "), "Get:"))
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	err = cmd.Run()
	w.Close()
	<-read
	if err != nil {
		return fmt.Errorf("%s: %w (all it said is in %s)\n%s", filepath.Base(cmd.Path), err, name, strings.Join(last, "\n"))
	}
	return nil
}

// makeBase installs the root's packages into a tar file.
func (b *builder) makeBase(ctx context.Context) error {
	packages, err := b.Spec.rootPackages()
	if err != nil {
		return err
	}
	if b.DebugKernel != "" {
		packages = append(packages, b.DebugKernel)
	}
	debs := map[string]string{}
	for _, file := range b.Debs {
		if debs[filepath.Base(file)], err = digestFile(file); err != nil {
			return err
		}
	}
	if b.Update {
		if err := os.Remove(b.recordPath("packages")); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	inputs := []any{"base 1", b.Spec.Suite, b.Spec.Sections, packages, debs}
	err = b.step(ctx, "packages", inputs, []string{b.base(), b.packages()}, func(ctx context.Context) error {
		return b.mmdebstrap(ctx, bootstrap{
			variant: "minbase", packages: packages, target: b.base(), format: "tar",
			hooks: slices.Concat(b.debHooks(), b.baseHooks()),
		})
	})
	if err != nil {
		return err
	}
	list, err := os.ReadFile(b.packages())
	if err != nil {
		return err
	}
	b.Progress.Say("%d packages", strings.Count(string(list), "\n"))
	return nil
}

// baseHooks are what packages' scripts need or must not do.
func (b *builder) baseHooks() []string {
	return []string{
		// open-isns-server's script makes a key for a name that is not there yet.
		"--essential-hook=mkdir -p \"$1\"/etc/isns && touch \"$1\"/etc/isns/auth_key",
		// The initramfs is ours; Debian's would cost a minute and 64 MB.
		"--essential-hook=mkdir -p \"$1\"/etc/initramfs-tools && echo update_initramfs=no >\"$1\"/etc/initramfs-tools/update-initramfs.conf",
		"--customize-hook=chroot \"$1\" dpkg-query -W -f '${Package}\\t${Version}\\t${Architecture}\\n' >'" + b.packages() + "'",
	}
}

// debHooks install the operator's own packages with what they depend on.
func (b *builder) debHooks() []string {
	if len(b.Debs) == 0 {
		return nil
	}
	hooks := []string{"--customize-hook=mkdir -p \"$1\"/var/tmp/esos-debs"}
	for _, file := range b.Debs {
		hooks = append(hooks, "--customize-hook=upload '"+file+"' '/var/tmp/esos-debs/"+filepath.Base(file)+"'")
	}
	return append(hooks,
		"--customize-hook=chroot \"$1\" sh -c 'DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends /var/tmp/esos-debs/*.deb'",
		"--customize-hook=rm -rf \"$1\"/var/tmp/esos-debs")
}
