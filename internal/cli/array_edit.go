package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

// diskPath is the path of a disk: a name alone is one of /dev/disk/by-id.
func diskPath(name string) string {
	if name == "" || strings.HasPrefix(name, "/") {
		return name
	}
	return "/dev/disk/by-id/" + name
}

func diskPaths(names []string) []string {
	var paths []string
	for _, n := range names {
		if n != "" {
			paths = append(paths, diskPath(n))
		}
	}
	return paths
}

// arrayFlags are an array's attributes as flags.
type arrayFlags struct {
	writeMostly                []string
	bitmap, check              string
	speedMin, speedMax         string
	repair                     bool
	level                      string
	spares                     []string
	journal, layout, chunk, id string
}

func (f *arrayFlags) add(c *cobra.Command, create bool) {
	fl := c.Flags()
	fl.StringSliceVar(&f.writeMostly, "write-mostly", nil, "`disk` that is read from only if others fail, of level 1 (more than once, or with commas; an empty one: none)")
	fl.StringVar(&f.bitmap, "bitmap", "", "write-intent bitmap: internal (default) or none")
	fl.StringVar(&f.check, "check", "", "how often it is checked by itself: weekly, monthly (default) or never")
	fl.BoolVar(&f.repair, "repair", false, "its checks correct what differs")
	fl.StringVar(&f.speedMin, "speed-min", "", "`size` a second that a resync gets though others want the disks, such as 10MiB; 0 is the system's")
	fl.StringVar(&f.speedMax, "speed-max", "", "`size` a second that a resync takes at most; 0 is the system's")
	if create {
		fl.StringVar(&f.level, "level", "", "RAID level: 0, 1, 4, 5, 6 or 10")
		fl.StringSliceVar(&f.spares, "spare", nil, "`disk` that stands by (more than once, or with commas)")
		fl.StringVar(&f.journal, "journal", "", "`device` that journals writes (levels 4, 5, 6)")
		fl.StringVar(&f.chunk, "chunk", "", "stripe unit, a power of two from 4KiB (default 512KiB)")
		fl.StringVar(&f.layout, "layout", "", "where blocks go: left-symmetric, n2, f2, ...")
		fl.StringVar(&f.id, "uuid", "", "of an array that exists already, and is taken up with what it holds")
	} else {
		fl.StringVar(&f.level, "level", "", "another RAID level: 5 of a RAID 1 of two disks, 6 of a RAID 5 with a disk more")
	}
}

// set copies what was given on the command line, and tells whether that was
// anything.
func (f *arrayFlags) set(c *cobra.Command, x *config.Array) (any bool, err error) {
	size := func(text string, into *config.Size) {
		n, bad := config.ParseSize(text)
		if bad != nil && err == nil {
			err = usageError{bad}
		}
		*into = n
	}
	for name, copy := range map[string]func(){
		"write-mostly": func() { x.WriteMostly = diskPaths(f.writeMostly) },
		"bitmap":       func() { x.Bitmap = f.bitmap },
		"check":        func() { x.Check = f.check },
		"repair":       func() { x.Repair = f.repair },
		"speed-min":    func() { size(f.speedMin, &x.SpeedMin) },
		"speed-max":    func() { size(f.speedMax, &x.SpeedMax) },
		"level":        func() { x.Level = f.level },
		"spare":        func() { x.Spares = diskPaths(f.spares) },
		"journal":      func() { x.Journal = diskPath(f.journal) },
		"chunk":        func() { size(f.chunk, &x.Chunk) },
		"layout":       func() { x.Layout = f.layout },
		"uuid":         func() { x.UUID = f.id },
	} {
		if c.Flags().Changed(name) {
			copy()
			any = true
		}
	}
	return any, err
}

func (a *app) arrayCreate() *cobra.Command {
	f := &arrayFlags{}
	c := &cobra.Command{
		Use: "create ARRAY DISK...", Short: "Make disks into a RAID array", Args: cobra.MinimumNArgs(3),
		Long: `Make disks into a RAID array. They must be blank; what else they hold is lost, and the
plan asks for their names. With --uuid an array that exists already is taken up with
what it holds ('esos array list' shows its UUID).`,
		Example: "  esos array create data virtio-d1 virtio-d2 virtio-d3 virtio-d4 --level 6 --spare virtio-d5\n" +
			"  esos array create old virtio-d7 virtio-d8 --level 1 --uuid 01234567-89ab-8def-8123-456789abcdef",
	}
	f.add(c, true)
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		if f.level == "" {
			return usageError{errors.New("--level is missing: 0, 1, 4, 5, 6 or 10")}
		}
		x := config.Array{Name: args[0], Disks: diskPaths(args[1:])}
		if _, err := f.set(c, &x); err != nil {
			return err
		}
		return doc.AddArray(x)
	})
}

func (a *app) arraySet() *cobra.Command {
	f := &arrayFlags{}
	c := &cobra.Command{
		Use: "set ARRAY", Short: "Change how an array works", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeArrays,
		Long:    "Change how an array works; only what is given changes. It stays in use.",
		Example: "  esos array set data --check weekly --repair\n  esos array set data --speed-min 50MiB",
	}
	f.add(c, false)
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		x, err := doc.FindArray(args[0])
		if err != nil {
			return err
		}
		any, err := f.set(c, x)
		if err == nil && !any {
			return usageError{errNothing}
		}
		return err
	})
}

// onArray makes a command that edits one array, with the paths of the disks
// that its arguments name.
func (a *app) onArray(c *cobra.Command, edit func(x *config.Array, disks []string) error) *cobra.Command {
	c.ValidArgsFunction = a.completeArrays
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		x, err := doc.FindArray(args[0])
		if err != nil {
			return err
		}
		return edit(x, diskPaths(args[1:]))
	})
}

func (a *app) arrayAddDisk() *cobra.Command {
	return a.onArray(&cobra.Command{
		Use: "add-disk ARRAY DISK...", Short: "Spread an array over more disks", Args: cobra.MinimumNArgs(2),
		Long: "Spread an array over more disks. It stays in use meanwhile; the space that is won is there\nwhen the reshape is done.",
	}, func(x *config.Array, disks []string) error {
		x.Disks = append(x.Disks, disks...)
		return nil
	})
}

func (a *app) arrayAddSpare() *cobra.Command {
	return a.onArray(&cobra.Command{
		Use: "add-spare ARRAY DISK...", Short: "Give an array disks that stand by", Args: cobra.MinimumNArgs(2),
	}, func(x *config.Array, disks []string) error {
		x.Spares = append(x.Spares, disks...)
		return nil
	})
}

func (a *app) arrayReplaceDisk() *cobra.Command {
	return a.onArray(&cobra.Command{
		Use: "replace-disk ARRAY OLD NEW", Short: "Put a disk in the place of another", Args: cobra.ExactArgs(3),
		Long: `Put a disk in the place of another. An old disk that works stays in use until all of it
is copied; one that has failed or is gone is taken out at once.`,
	}, func(x *config.Array, disks []string) error { return x.ReplaceDisk(disks[0], disks[1]) })
}

func (a *app) arrayRemoveDisk() *cobra.Command {
	return a.onArray(&cobra.Command{
		Use: "remove-disk ARRAY DISK...", Short: "Take spares away from an array", Args: cobra.MinimumNArgs(2),
		Long: "Take spares away from an array. Disks that hold its data are not taken away but replaced\n('esos array replace-disk').",
	}, func(x *config.Array, disks []string) error {
		err := x.RemoveSpares(disks)
		if errors.Is(err, config.ErrHoldsData) {
			return codeError{fmt.Errorf("%w (esos array replace-disk)", err), exitConflict}
		}
		return err
	})
}

func (a *app) arrayDelete() *cobra.Command {
	c := &cobra.Command{
		Use: "delete ARRAY...", Short: "Delete arrays", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeArrays,
		Long: `Declare arrays no more. With --destroy array/ARRAY it is deleted with all that it holds,
and its disks are blank afterwards; without that it is left alone, and can be declared
again with its --uuid.`,
		Example: "  esos array delete data --destroy array/data",
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, name := range args {
			x, err := doc.FindArray(name)
			if err != nil {
				return err
			}
			if by := doc.BlockUsers(x.Path()); len(by) > 0 {
				return codeError{fmt.Errorf("array %s is in use by %s; delete that first", name, strings.Join(by, ", ")), exitConflict}
			}
			if err := doc.RemoveArray(name); err != nil {
				return err
			}
		}
		return nil
	})
}
