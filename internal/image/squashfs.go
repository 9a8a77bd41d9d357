package image

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/esos-project/esos/internal/slot"
)

// The slot's parts by the names of their files.
const (
	rootPart           = slot.RootFile
	kernelPart         = slot.KernelFile
	initramfsPart      = slot.InitrdFile
	debugKernelPart    = "vmlinuz-debug"
	debugInitramfsPart = "initrd-debug.img"
)

// blockSize is what squashfs compresses at a time. Larger ones make a smaller
// image; smaller ones make reading a small file cheaper: each takes a whole
// block's decompression.
const blockSize = "256K"

// squash compresses the root. Its time stamps are the epoch's: a file's own
// say when a package was made, which nobody needs, or when it was installed.
func (b *builder) squash(ctx context.Context) error {
	root, err := b.inputsOf("root")
	if err != nil {
		return err
	}
	out := b.slotFile(rootPart)
	inputs := []any{"squashfs 1", root, b.Level, blockSize, b.Epoch.Unix()}
	err = b.step(ctx, "squashfs", inputs, []string{out}, func(ctx context.Context) error {
		partial := out + ".new"
		if err := os.RemoveAll(partial); err != nil {
			return err
		}
		epoch := strconv.FormatInt(b.Epoch.Unix(), 10)
		cmd := b.tools.Command(ctx, "mksquashfs", b.tree(), partial, "-noappend", "-no-progress", "-quiet",
			"-comp", "zstd", "-Xcompression-level", strconv.Itoa(b.Level), "-b", blockSize,
			"-mkfs-time", epoch, "-all-time", epoch, "-no-exports")
		// It refuses the variable together with the options of the same meaning.
		cmd.Env = without(cmd.Env, "SOURCE_DATE_EPOCH")
		b.Progress.Say("compressing, zstd level %d", b.Level)
		if _, err := run(cmd, "mksquashfs"); err != nil {
			return err
		}
		return os.Rename(partial, out)
	})
	if err != nil {
		return err
	}
	st, err := os.Stat(out)
	if err != nil {
		return err
	}
	b.Progress.Say("%s: %s", rootPart, mib(st.Size()))
	return nil
}

func without(env []string, name string) []string {
	var kept []string
	for _, e := range env {
		if len(e) <= len(name) || e[:len(name)+1] != name+"=" {
			kept = append(kept, e)
		}
	}
	return kept
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
