package mkesos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/medium/stick"
	"github.com/esos-project/esos/internal/slot"
)

// imageName is the medium's in a build's output directory.
const imageName = "esos.img"

// writeFlags are the command line of mkesos write.
type writeFlags struct {
	yes, force, keep, unsigned bool
	keys                       []string
	size                       int64
}

func writeCommand() *cobra.Command {
	var f writeFlags
	c := &cobra.Command{
		Use:   "write [IMAGE] TARGET",
		Short: "Write an image to a stick, a disk or a file",
		Long: `Write an image to TARGET: a whole disk such as /dev/sdX, or a file, which is made.
IMAGE is a file, or the output directory of a build; without it, that of the
last build.

The image's signature and digests are checked first. What uses the disk, and the
disk that this system runs from, are refused. After the writing everything is
read back from the drive and compared. The copy gets identifiers (GUIDs, UUIDs)
of its own, so that two sticks of one image can be in one machine.`,
		Example: "  mkesos write /dev/sdX\n  mkesos write --yes out/esos.img /dev/disk/by-id/usb-...\n  mkesos write --size 8192 esos.img vm.img",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			image := filepath.Join(defaultWork, "out")
			if len(args) == 2 {
				image = args[0]
			}
			return f.run(c, image, args[len(args)-1])
		},
	}
	s := c.Flags()
	s.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	s.BoolVar(&f.force, "force", false, "overwrite a member of an array or volume group that is not running")
	s.BoolVar(&f.keep, "keep-identity", false, "an exact copy, with the image's own identifiers")
	s.StringSliceVar(&f.keys, "key", nil, "public key `FILE` to trust (default: keys/*.pub beside the image, then this user's signing key)")
	s.BoolVar(&f.unsigned, "unsigned", false, "do not check the image's signature")
	s.Int64Var(&f.size, "size", 0, "size of a file that is made, in `MiB` (default: the image's)")
	return c
}

func (f *writeFlags) run(c *cobra.Command, path, target string) error {
	ctx, out := c.Context(), c.OutOrStdout()
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, imageName)
	}
	image, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the image: %w", err)
	}
	defer image.Close()
	st, err := image.Stat()
	if err != nil {
		return err
	}
	if other, err := os.Stat(target); err == nil && os.SameFile(st, other) {
		return fmt.Errorf("%s is the image itself", target)
	}
	running, err := runningDisks()
	if err != nil {
		return err
	}
	t, err := stick.Look(disk.This(), target, st.Size(), f.size<<20, f.force, running)
	if err != nil {
		return err
	}
	bar := stick.NewBar(c.ErrOrStderr(), onTerminal(c.ErrOrStderr()))
	version, err := f.check(ctx, image, bar)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Image:  %s (%s)\n", path, version)
	describe(out, t)
	if !f.yes && (t.Disk != nil || t.Exists) {
		if err := confirm(c.InOrStdin(), out, t); err != nil {
			return err
		}
	}
	var id medium.Identity
	if !f.keep {
		if id, err = medium.NewIdentity(); err != nil {
			return err
		}
	}
	cp, err := medium.NewCopy(image, id, t.Size)
	if err != nil {
		return err
	}
	began := time.Now()
	err = stick.Write(ctx, cp, t, bar.Progress)
	bar.End()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Wrote and verified %d MiB in %s.\n", cp.Written()>>20, time.Since(began).Round(time.Second))
	return nil
}

// check checks the image's signature and digests, and returns what it is.
func (f *writeFlags) check(ctx context.Context, image *os.File, bar *stick.Bar) (string, error) {
	if f.unsigned {
		return "its signature is not checked", nil
	}
	keys, err := f.trusted(filepath.Dir(image.Name()))
	if err != nil {
		return "", err
	}
	m, err := stick.Check(ctx, image, keys, bar.Progress)
	bar.End()
	if err != nil {
		return "", err
	}
	return "ESOS " + m.Version + ", its signature is good", nil
}

// trusted are the keys that may have signed the image.
func (f *writeFlags) trusted(dir string) ([]slot.PublicKey, error) {
	if len(f.keys) > 0 {
		var keys []slot.PublicKey
		for _, file := range f.keys {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read a trusted key: %w", err)
			}
			k, err := slot.ParsePublicKey(text)
			if err != nil {
				return nil, fmt.Errorf("trusted key %s: %w", file, err)
			}
			keys = append(keys, k)
		}
		return keys, nil
	}
	beside := filepath.Join(dir, "keys")
	if found, err := filepath.Glob(filepath.Join(beside, slot.PublicKeyPattern)); err == nil && len(found) > 0 {
		return slot.LoadKeys(os.DirFS(beside))
	}
	path, err := (&buildFlags{}).keyPath()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("there is no key to check the image's signature with, neither in %s nor this user's: name one with --key, or write without the check by --unsigned", beside)
	}
	key, err := slot.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("this user's signing key %s: %w", path, err)
	}
	return []slot.PublicKey{key.Public()}, nil
}

// describe says what the target is and what will be lost.
func describe(out io.Writer, t stick.Target) {
	if t.Disk == nil {
		fmt.Fprintf(out, "Target: file %s, %s\n", t.Path, disk.HumanSize(t.Size))
		return
	}
	fmt.Fprintf(out, "Target: %s\n", t.Disk)
	for _, c := range t.Contents {
		fmt.Fprintf(out, "        %s\n", c)
	}
	if len(t.Contents) == 0 {
		fmt.Fprintln(out, "        it is blank")
	}
}

// confirm lets the user name what will be overwritten.
func confirm(in io.Reader, out io.Writer, t stick.Target) error {
	if t.Disk == nil {
		fmt.Fprintf(out, "The file is there already. Type yes to replace it: ")
	} else {
		fmt.Fprintf(out, "Everything on it will be lost. Type its name (%s) to go on: ", t.Disk.Name)
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	answer := strings.TrimSpace(line)
	switch {
	case err != nil && answer == "":
		return errors.New("nothing was written: there was no answer; --yes does without")
	case t.Disk == nil && answer == "yes", t.Disk != nil && (answer == t.Disk.Name || answer == t.Disk.Path):
		return nil
	}
	return fmt.Errorf("nothing was written: the answer was %q", answer)
}

// runningDisks are those that this system was started from, if it is ESOS: the
// medium is not mounted there, but it is in use.
func runningDisks() ([]string, error) {
	r, err := boot.ReadReport(boot.ReportFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append(r.Medium.Disks, filepath.Base(r.Medium.Device)), nil
}
