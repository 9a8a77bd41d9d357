package guest

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// kernel finds the one kernel in the stage.
func (r root) kernel() (image, version string, err error) {
	images, err := filepath.Glob(filepath.Join(r.stage, "boot/vmlinuz-*"))
	if err != nil {
		return "", "", err
	}
	if len(images) != 1 {
		return "", "", fmt.Errorf("install kernel: %d kernels in the packages, want 1", len(images))
	}
	return images[0], strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-"), nil
}

// prepareKernel makes the lists of the modules in the stage.
func (r root) prepareKernel(ctx context.Context) (image, version string, err error) {
	image, version, err = r.kernel()
	if err != nil {
		return "", "", err
	}
	if _, err := os.Stat(filepath.Join(r.stage, "lib")); os.IsNotExist(err) {
		// Packages that know the merged /usr have their modules there.
		if err := os.Symlink("usr/lib", filepath.Join(r.stage, "lib")); err != nil {
			return "", "", err
		}
	}
	_, err = run(ctx, "depmod", "-b", r.stage, version)
	return image, version, err
}

// installKernel copies the kernel and its chosen modules from the stage into
// the root, and makes the initramfs.
func (r root) installKernel(ctx context.Context, out Image) error {
	image, version, err := r.prepareKernel(ctx)
	if err != nil {
		return err
	}
	if err := r.copyModules(ctx, r.dir, version, modules); err != nil {
		return err
	}
	if err := copyFile(image, out.Kernel, 0o644); err != nil {
		return err
	}
	if err := r.makeInitramfs(ctx, version, out.Initrd); err != nil {
		return err
	}
	boot := filepath.Join(r.dir, "boot")
	if err := os.MkdirAll(boot, 0o755); err != nil {
		return err
	}
	for _, name := range []string{out.Kernel, out.Initrd} {
		if err := copyFile(name, filepath.Join(boot, filepath.Base(name)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// readModule returns a module's code, decompressed: busybox and old kernels
// cannot load the .ko.xz files of newer packages.
func readModule(ctx context.Context, path string) ([]byte, error) {
	if !strings.HasSuffix(path, ".xz") {
		return os.ReadFile(path)
	}
	out, err := run(ctx, "xz", "-dc", path)
	return []byte(out), err
}

// copyModules copies modules and what they depend on from the stage to the
// tree at dir, and makes the dependency lists there.
func (r root) copyModules(ctx context.Context, dir, version string, names []string) error {
	list, err := r.dependencies(ctx, version, names)
	if err != nil {
		return err
	}
	for _, path := range list {
		rel, err := filepath.Rel(r.stage, path)
		if err != nil {
			return err
		}
		module, err := readModule(ctx, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, strings.TrimSuffix(strings.TrimPrefix(rel, "usr/"), ".xz"))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, module, 0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"modules.builtin", "modules.order", "modules.builtin.modinfo"} {
		rel := filepath.Join("lib/modules", version, name)
		if err := copyFile(filepath.Join(r.stage, rel), filepath.Join(dir, rel), 0o644); err != nil {
			return err
		}
	}
	_, err = run(ctx, "depmod", "-b", dir, version)
	return err
}

// dependencies lists module files in the order in which they can be loaded.
func (r root) dependencies(ctx context.Context, version string, names []string) ([]string, error) {
	var list []string
	seen := map[string]bool{}
	for _, name := range names {
		out, err := run(ctx, "modprobe", "-d", r.stage, "-S", version, "--show-depends", name)
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", name, err)
		}
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			if len(f) >= 2 && f[0] == "insmod" && !seen[f[1]] {
				seen[f[1]] = true
				list = append(list, f[1])
			}
		}
	}
	return list, nil
}

// makeInitramfs writes an archive of busybox, a script and the modules that
// reach the root disk, in loading order. It is not compressed: an emulated
// processor unpacks slower than an emulated disk reads.
func (r root) makeInitramfs(ctx context.Context, version, name string) error {
	list, err := r.dependencies(ctx, version, bootModules)
	if err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	w := &cpioWriter{w: f}
	for _, dir := range []string{"bin", "dev", "proc", "sys", "root", "modules"} {
		w.dir(dir)
	}
	w.node("dev/console", 5, 1)
	w.file("init", 0o755, []byte(initramfsInit))
	busybox, err := os.ReadFile(filepath.Join(r.dir, "usr/bin/busybox"))
	if err != nil {
		return err
	}
	w.file("bin/busybox", 0o755, busybox)
	w.link("bin/sh", "busybox")
	for i, path := range list {
		module, err := readModule(ctx, path)
		if err != nil {
			return err
		}
		w.file(fmt.Sprintf("modules/%02d-%s", i, strings.TrimSuffix(filepath.Base(path), ".xz")), 0o644, module)
	}
	if err := w.close(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return f.Close()
}

func copyFile(from, to string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return out.Close()
}
