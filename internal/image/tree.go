package image

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/image/raidcli"
)

// rootfs is laid over the packages' files: units, presets, settings. A file
// that begins with #! can be run.
//
//go:embed all:rootfs
var rootfs embed.FS

// KeysDir is where the root and the initramfs keep the keys that sign images.
const (
	rootKeys      = "usr/lib/esos/keys"
	initramfsKeys = "etc/esos/keys"
)

// dressTree makes the root as it will be: the packages' files, ours over them,
// less what nobody needs and what no two machines may share.
func (b *builder) dressTree(ctx context.Context) error {
	ours, err := fs.Sub(rootfs, "rootfs")
	if err != nil {
		return err
	}
	oursDigest, err := digestTree(ours)
	if err != nil {
		return err
	}
	base, err := b.inputsOf("packages")
	if err != nil {
		return err
	}
	digests, err := b.programDigests()
	if err != nil {
		return err
	}
	clis := map[string]string{}
	for name, file := range b.RaidCLIs {
		if clis[name], err = digestFile(file); err != nil {
			return err
		}
	}
	inputs := []any{"root 1", base, oursDigest, digests["esos"], digests["esos-target"], clis,
		b.Spec.Exclude, b.Spec.Keep, b.Spec.Identities, b.Trusted, b.Version}
	return b.step(ctx, "root", inputs, []string{b.tree(), b.boot()}, func(ctx context.Context) error {
		return b.makeTree(ctx, ours)
	})
}

func (b *builder) makeTree(ctx context.Context, ours fs.FS) error {
	for _, dir := range []string{b.tree(), b.boot()} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	b.Progress.Say("unpacking")
	untar := exec.CommandContext(ctx, "tar", "-C", b.tree(), "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf", b.base())
	if _, err := run(untar, "tar"); err != nil {
		return fmt.Errorf("unpack the packages: %w", err)
	}
	if err := b.takeKernel(); err != nil {
		return err
	}
	if err := b.lay(ours); err != nil {
		return fmt.Errorf("lay our files over the root: %w", err)
	}
	for _, p := range programs {
		if p.place == "" {
			continue
		}
		if err := copyFile(filepath.Join(b.bin(), p.name), filepath.Join(b.tree(), p.place), 0o755); err != nil {
			return err
		}
	}
	if err := raidcli.Prepare(b.tree()); err != nil {
		return err
	}
	for name, file := range b.RaidCLIs {
		put, err := raidcli.Install(ctx, b.tree(), name, file)
		if err != nil {
			return err
		}
		if len(put.Missing) > 0 {
			return fmt.Errorf("%s of %s needs libraries that neither came with it nor are in the root: %s; add their packages to the specification", name, file, strings.Join(put.Missing, ", "))
		}
	}
	if err := b.writeGenerated(); err != nil {
		return err
	}
	b.Progress.Say("users and units")
	if err := b.inRoot(ctx, [][]string{
		{"systemd-sysusers"},
		{"systemctl", "preset-all", "--preset-mode=full"},
		{"systemctl", "set-default", "multi-user.target"},
	}); err != nil {
		return err
	}
	b.Progress.Say("removing what nobody needs")
	if err := b.strip(ours); err != nil {
		return err
	}
	return b.indexModules(ctx)
}

// takeKernel puts the kernels aside: the root has none, they are on the medium.
func (b *builder) takeKernel() error {
	kernels, err := filepath.Glob(filepath.Join(b.tree(), "boot/vmlinuz-*"))
	if err != nil {
		return err
	}
	if want := 1; len(kernels) < want {
		return errors.New("the packages hold no kernel: /boot/vmlinuz-* is not there")
	}
	for _, k := range kernels {
		if err := copyFile(k, filepath.Join(b.boot(), filepath.Base(k)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// lay copies a tree of ours over the root.
func (b *builder) lay(ours fs.FS) error {
	return fs.WalkDir(ours, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		to := filepath.Join(b.tree(), path)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		if d.Name() == ".keep" { // embed takes no empty directory
			return nil
		}
		data, err := fs.ReadFile(ours, path)
		if err != nil {
			return err
		}
		return writeFile(to, data, modeOf(path, data))
	})
}

// modeOf says with which permissions a file of ours goes into the root.
func modeOf(path string, data []byte) fs.FileMode {
	switch {
	case strings.HasPrefix(string(data), "#!"):
		return 0o755
	case strings.HasPrefix(path, "etc/sudoers.d/"):
		return 0o440
	}
	return 0o644
}

// writeGenerated writes the files that differ from build to build.
func (b *builder) writeGenerated() error {
	if err := writeFile(filepath.Join(b.tree(), "etc/esos-release"), []byte("ESOS "+b.Version+"\n"), 0o644); err != nil {
		return err
	}
	return writeKeys(filepath.Join(b.tree(), rootKeys), b.Trusted)
}

// indexModules makes the lists of the modules that are left.
func (b *builder) indexModules(ctx context.Context) error {
	kernels, err := b.kernels()
	if err != nil {
		return err
	}
	var commands [][]string
	for _, k := range kernels {
		commands = append(commands, []string{"depmod", k})
	}
	return b.inRoot(ctx, commands)
}

// inRoot runs commands with the root's own programs.
func (b *builder) inRoot(ctx context.Context, commands [][]string) error {
	for _, c := range commands {
		cmd := exec.CommandContext(ctx, "chroot", append([]string{b.tree()}, c...)...)
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin", "LC_ALL=C.UTF-8", "SYSTEMD_OFFLINE=1",
			"SOURCE_DATE_EPOCH=" + strconv.FormatInt(b.Epoch.Unix(), 10)}
		if _, err := run(cmd, strings.Join(c, " ")); err != nil {
			return fmt.Errorf("in the root: %w", err)
		}
	}
	return nil
}

// kernels are the releases of the kernels that were taken aside, sorted.
func (b *builder) kernels() ([]string, error) {
	found, err := filepath.Glob(filepath.Join(b.boot(), "vmlinuz-*"))
	if err != nil {
		return nil, err
	}
	var releases []string
	for _, k := range found {
		releases = append(releases, strings.TrimPrefix(filepath.Base(k), "vmlinuz-"))
	}
	return releases, nil
}
