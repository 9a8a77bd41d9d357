package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// makeInitramfs makes one for each kernel: esos-init as /init, busybox for the
// rescue shell, the programs that mend file systems, the modules that reach
// the medium, and the keys that slots are signed with.
func (b *builder) makeInitramfs(ctx context.Context) error {
	root, err := b.inputsOf("root")
	if err != nil {
		return err
	}
	digests, err := b.programDigests()
	if err != nil {
		return err
	}
	chosen, err := b.chooseKernels()
	if err != nil {
		return err
	}
	outputs := []string{b.slotFile(kernelPart), b.slotFile(initramfsPart)}
	inputs := []any{"initramfs 2", root, digests["esos-init"], b.Spec.Initramfs, b.Trusted, chosen}
	err = b.step(ctx, "initramfs", inputs, outputs, func(ctx context.Context) error {
		for _, k := range chosen {
			if err := copyFile(filepath.Join(b.boot(), "vmlinuz-"+k.Release), b.slotFile(k.KernelPart), 0o644); err != nil {
				return err
			}
			if err := b.writeInitramfs(ctx, k.Release, b.slotFile(k.InitramfsPart)); err != nil {
				return fmt.Errorf("for kernel %s: %w", k.Release, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	st, err := os.Stat(b.slotFile(initramfsPart))
	if err != nil {
		return err
	}
	b.Progress.Say("%s: %s", initramfsPart, mib(st.Size()))
	return nil
}

// chosenKernel is a kernel and the names of the slot's parts made of it.
type chosenKernel struct{ Release, KernelPart, InitramfsPart string }

// chooseKernels tells the production kernel from the debug kernel: that is the
// one of the package that DebugKernel names.
func (b *builder) chooseKernels() ([]chosenKernel, error) {
	releases, err := b.kernels()
	if err != nil {
		return nil, err
	}
	production := chosenKernel{KernelPart: kernelPart, InitramfsPart: initramfsPart}
	if b.DebugKernel == "" {
		if len(releases) != 1 {
			return nil, fmt.Errorf("the packages hold %d kernels (%s): want one, or --debug-kernel PACKAGE", len(releases), strings.Join(releases, ", "))
		}
		production.Release = releases[0]
		return []chosenKernel{production}, nil
	}
	debug := chosenKernel{KernelPart: debugKernelPart, InitramfsPart: debugInitramfsPart}
	for _, r := range releases {
		if strings.HasSuffix(b.DebugKernel, r) {
			debug.Release = r
		} else {
			production.Release = r
		}
	}
	if len(releases) != 2 || debug.Release == "" {
		return nil, fmt.Errorf("the debug kernel %s is not one of the kernels in the packages (%s): name it linux-image-RELEASE", b.DebugKernel, strings.Join(releases, ", "))
	}
	return []chosenKernel{production, debug}, nil
}

// writeInitramfs writes the archive, compressed with zstd: of all that the
// kernel knows it is unpacked quickest for its size.
func (b *builder) writeInitramfs(ctx context.Context, release, name string) (err error) {
	var archive bytes.Buffer
	a := newArchive(&archive)
	if err := b.fillInitramfs(ctx, a, release); err != nil {
		return err
	}
	if err := a.close(); err != nil {
		return err
	}
	f, err := os.Create(name + ".new")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(8<<20)) // the kernel's limit for an initramfs
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, &archive); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func (b *builder) fillInitramfs(ctx context.Context, a *archive, release string) error {
	for _, dir := range []string{"dev", "proc", "sys", "run", "root", "tmp", "etc/esos", "bin", "sbin"} {
		a.dir(dir)
	}
	a.device("dev/console", 5, 1)
	a.device("dev/null", 1, 3)
	a.device("dev/kmsg", 1, 11)
	init, err := os.ReadFile(filepath.Join(b.bin(), "esos-init"))
	if err != nil {
		return err
	}
	a.file("init", 0o755, init)
	if err := b.addBusybox(ctx, a); err != nil {
		return err
	}
	if err := b.addPrograms(a); err != nil {
		return err
	}
	if err := b.addModules(ctx, a, release); err != nil {
		return err
	}
	a.file("etc/esos/modules", 0o644, []byte(strings.Join(b.Spec.Initramfs.Load, "\n")+"\n"))
	for _, k := range b.Trusted {
		name, text := keyFile(k)
		a.file(initramfsKeys+"/"+name, 0o644, text)
	}
	a.file("etc/esos/version", 0o644, []byte(b.Version+"\n"))
	return nil
}

// addBusybox puts the rescue shell's commands in. Programs of ours that bear a
// command's name are in sbin and found first.
func (b *builder) addBusybox(ctx context.Context, a *archive) error {
	data, err := os.ReadFile(b.tools.Path("usr/bin/busybox"))
	if err != nil {
		return fmt.Errorf("the rescue shell: %w", err)
	}
	a.file("bin/busybox", 0o755, data)
	list, err := b.tools.Run(ctx, "busybox", "--list")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(list) {
		if name != "busybox" {
			a.link("bin/"+name, "busybox")
		}
	}
	return nil
}

func (b *builder) addPrograms(a *archive) error {
	files, err := programFiles(b.tree(), b.Spec.Initramfs.Programs)
	if err != nil {
		return err
	}
	a.link("lib64", "usr/lib64")
	a.link("lib", "usr/lib")
	for _, rel := range append(files, b.Spec.Initramfs.Files...) {
		data, err := os.ReadFile(filepath.Join(b.tree(), rel)) // follows the links of libraries
		if err != nil {
			return err
		}
		st, err := os.Stat(filepath.Join(b.tree(), rel))
		if err != nil {
			return err
		}
		a.file(rel, st.Mode().Perm(), data)
	}
	for _, rel := range b.Spec.Initramfs.Programs {
		a.link("sbin/"+filepath.Base(rel), "/"+rel)
	}
	// Libraries are found where they are. The loader is not looked for: without
	// the path that a program names it does not start.
	loaders, err := programLoaders(b.tree(), b.Spec.Initramfs.Programs)
	if err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(loaders)) {
		if named := "usr" + path; named != loaders[path] { // /lib and /lib64 are links to /usr/lib and /usr/lib64
			a.link(named, "/"+loaders[path])
		}
	}
	return nil
}

// addModules puts the chosen modules in, unpacked: the archive is compressed
// as a whole, and the kernel then has less to do.
func (b *builder) addModules(ctx context.Context, a *archive, release string) error {
	tree, err := openModules(b.tree(), release)
	if err != nil {
		return err
	}
	list, err := tree.choose(b.Spec.Initramfs.Modules)
	if err != nil {
		return err
	}
	// A tree of its own, so that depmod makes lists of just these.
	stage := filepath.Join(b.Work, "modules")
	if err := os.RemoveAll(stage); err != nil {
		return err
	}
	dir := filepath.Join("usr/lib/modules", release)
	for _, path := range list {
		data, err := b.readModule(ctx, filepath.Join(tree.dir, path))
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(stage, dir, strings.TrimSuffix(path, ".xz")), data, 0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"modules.builtin", "modules.builtin.modinfo", "modules.order"} {
		if err := copyFile(filepath.Join(tree.dir, name), filepath.Join(stage, dir, name), 0o644); err != nil {
			return err
		}
	}
	if err := os.Symlink("usr/lib", filepath.Join(stage, "lib")); err != nil {
		return err
	}
	if _, err := b.tools.Run(ctx, "depmod", "-b", stage, release); err != nil {
		return err
	}
	return a.tree(filepath.Join(stage, dir), dir)
}

func (b *builder) readModule(ctx context.Context, path string) ([]byte, error) {
	if !strings.HasSuffix(path, ".xz") {
		return os.ReadFile(path)
	}
	cmd := b.tools.Command(ctx, "xz", "-dc", path)
	out, err := run(cmd, "xz")
	return []byte(out), err
}
