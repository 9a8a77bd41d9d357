package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/esos-project/esos/internal/slot"
)

// Options say what to build, from what, and where it goes.
type Options struct {
	Spec    Spec
	Version string
	// Source is the tree of ESOS itself, whose programs go in.
	Source string
	// Work holds what is made on the way, so that an unchanged step is skipped;
	// Out gets the results; Downloads keeps packages for any number of builds.
	Work, Out, Downloads string
	Mirrors              Mirrors
	// Epoch is SOURCE_DATE_EPOCH: the time that every file and file system gets.
	Epoch time.Time
	// Key signs; keys in Trusted may sign upgrades too.
	Key     slot.PrivateKey
	Trusted []slot.PublicKey
	// Debs are packages of the operator's own, RaidCLIs vendors' archives by the
	// name of the program that they hold.
	Debs     []string
	RaidCLIs map[string]string
	// DebugKernel is the package of another kernel for the Debug entries.
	DebugKernel string
	// Seed is a tree that a new medium's first boot finds in its settings: a
	// document, keys of administrators. Empty for none.
	Seed string
	// Level is zstd's, 1 to 22: how hard the root is compressed.
	Level int
	// Update looks for newer packages although nothing else changed.
	Update   bool
	Progress *Progress
}

// Result is what a build made.
type Result struct {
	Slot   string // the directory of the slot's parts
	Medium string // the disk image
	// Upgrade is the file that `esos upgrade` takes.
	Upgrade string
	Tools   *Tools
	Sizes   map[string]int64 // of the parts, in bytes
}

// Build makes the slot and the medium. Each step is skipped if what goes into
// it is what went into it the last time.
func Build(ctx context.Context, o Options) (Result, error) {
	b := &builder{Options: o}
	if err := b.prepare(); err != nil {
		return Result{}, err
	}
	lock, err := lockDir(b.Work)
	if err != nil {
		return Result{}, err
	}
	defer lock.Close()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"tools", b.makeTools},        // what writes file systems, from the same release
		{"packages", b.makeBase},      // Debian's packages, installed
		{"programs", b.buildPrograms}, // esos, esos-target, esos-init
		{"root", b.dressTree},         // packages + programs + our files - what nobody needs
		{"squashfs", b.squash},
		{"initramfs", b.makeInitramfs},
		{"manifest", b.sign},
		{"upgrade", b.makeUpgrade}, // the slot in one file
		{"medium", b.makeMedium},
	} {
		b.Progress.Begin(step.name)
		if err := step.do(ctx); err != nil {
			b.Progress.Fail()
			return Result{}, fmt.Errorf("build the image: %s: %w", step.name, err)
		}
		b.Progress.End()
	}
	return b.result()
}

// builder is a build on its way: the paths of what each step leaves for the
// next.
type builder struct {
	Options
	tools *Tools
}

func (b *builder) base() string                { return filepath.Join(b.Work, "base.tar") }
func (b *builder) tree() string                { return filepath.Join(b.Work, "tree") }
func (b *builder) bin() string                 { return filepath.Join(b.Work, "bin") }
func (b *builder) boot() string                { return filepath.Join(b.Work, "boot") }
func (b *builder) slot() string                { return filepath.Join(b.Out, "slot") }
func (b *builder) medium() string              { return filepath.Join(b.Out, "esos.img") }
func (b *builder) packages() string            { return filepath.Join(b.Out, "packages.tsv") }
func (b *builder) slotFile(name string) string { return filepath.Join(b.slot(), name) }

// prepare checks what can be checked before hours are spent.
func (b *builder) prepare() error {
	if os.Geteuid() != 0 {
		return errors.New("building an image installs Debian packages in a root of its own, which needs root: run it with sudo")
	}
	for _, file := range b.Debs {
		if st, err := os.Stat(file); err != nil || !st.Mode().IsRegular() {
			return fmt.Errorf("package %s: want the file of a .deb: %w", file, err)
		}
	}
	for name, file := range b.RaidCLIs {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("RAID CLI %s: %w", name, err)
		}
	}
	for _, dir := range []string{b.Work, b.Out, b.Downloads, b.slot(), filepath.Join(b.Work, "steps")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("prepare the build: %w", err)
		}
	}
	b.tools = &Tools{dir: filepath.Join(b.Work, "tools"), epoch: b.Epoch}
	return nil
}

func (b *builder) result() (Result, error) {
	r := Result{Slot: b.slot(), Medium: b.medium(), Upgrade: b.upgradeFile(), Tools: b.tools, Sizes: map[string]int64{}}
	err := filepath.WalkDir(b.slot(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		r.Sizes[d.Name()] = st.Size()
		return nil
	})
	return r, err
}
