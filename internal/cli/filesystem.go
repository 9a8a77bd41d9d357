package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) filesystem() *cobra.Command {
	c := &cobra.Command{
		Use: "filesystem", Aliases: []string{"filesystems", "fs"}, Short: "File systems for image files",
		Long: `File systems for image files, each on a block device and mounted at /mnt/vdisks/NAME.
They are mounted again at boot, and grow with their device by themselves.`,
	}
	c.AddCommand(a.filesystemList(), a.filesystemShow(), a.filesystemFiles(), a.filesystemCreate(), a.filesystemSet(), a.filesystemDelete(),
		a.filesystemCheck(), a.filesystemTrim())
	return c
}

// with makes the work of a command that asks the array one thing.
func (a *app) with(do func(c *cobra.Command, cl *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		cl, err := a.connect()
		if err != nil {
			return err
		}
		defer cl.Close()
		return do(c, cl, args)
	}
}

func (a *app) completeFileSystems(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, args []string) []string {
		var names []string
		for _, f := range doc.Storage.FileSystems {
			if len(args) == 0 {
				names = append(names, f.Name)
			}
		}
		return names
	})(c, args, typed)
}

func (a *app) filesystemList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the file systems, as they are", Args: cobra.NoArgs,
		RunE: a.with(func(c *cobra.Command, cl *client.Client, _ []string) error {
			all, err := cl.FileSystems(c.Context())
			if err != nil {
				return err
			}
			return a.print(all, func(t *table) {
				t.head("name", "type", "device", "state", "size", "used", "free")
				for _, f := range all {
					t.row(f.Name, fileSystemType(f), f.Device, fileSystemState(f), humanSize(f.Size), humanSize(f.Used), humanSize(f.Free))
				}
			})
		}),
	}
}

func fileSystemType(f v1.FileSystemState) string {
	if f.Type == "" {
		return "xfs"
	}
	return f.Type
}

func fileSystemState(f v1.FileSystemState) string {
	switch {
	case !f.Mounted:
		return "not mounted"
	case f.ReadOnly:
		return "read-only"
	}
	return "mounted"
}

// humanSize is a number of bytes for people, nothing for 0.
func humanSize(n int64) string {
	if n == 0 {
		return ""
	}
	return config.Size(n).Human()
}

func (a *app) filesystemShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a file system", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeFileSystems,
		RunE: a.with(func(c *cobra.Command, cl *client.Client, args []string) error {
			all, err := cl.FileSystems(c.Context())
			if err != nil {
				return err
			}
			for _, f := range all {
				if f.Name != args[0] {
					continue
				}
				return a.print(f, func(t *table) {
					t.pair("name", f.Name)
					t.pair("type", fileSystemType(f))
					t.pair("device", f.Device)
					t.pair("path", f.Path)
					t.pair("state", fileSystemState(f))
					t.pair("size", humanSize(f.Size))
					t.pair("used", humanSize(f.Used))
					t.pair("free", humanSize(f.Free))
					t.pair("options", strings.Join(f.Options, ","))
					t.pair("trim", f.Trim)
					t.pair("uuid", f.UUID)
					t.pair("problem", f.Problem)
				})
			}
			return notFound(fmt.Errorf("there is no file system %s; 'esos filesystem list' shows all", args[0]))
		}),
	}
}

func (a *app) filesystemFiles() *cobra.Command {
	return &cobra.Command{
		Use: "files NAME", Short: "List the files on a file system, and whose they are", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeFileSystems,
		RunE: a.with(func(c *cobra.Command, cl *client.Client, args []string) error {
			files, err := cl.FilesOn(c.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(files, func(t *table) {
				t.head("file", "size", "allocated", "device")
				for _, f := range files {
					t.row(f.Path, config.Size(f.Size).Human(), config.Size(f.Allocated).Human(), f.Device)
				}
			})
		}),
	}
}

// fileSystemFlags are what can be set of a file system.
type fileSystemFlags struct {
	options []string
	trim    string
}

func (f *fileSystemFlags) add(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.options, "option", nil, "further mount `option` (more than once, or with commas; one that is empty takes them away)")
	c.Flags().StringVar(&f.trim, "trim", "", "how often unused space is told to the disks: daily, weekly or never")
}

func (f *fileSystemFlags) set(c *cobra.Command, v *config.FileSystem) {
	if c.Flags().Changed("option") {
		v.Options = nil
		for _, o := range f.options {
			if o != "" {
				v.Options = append(v.Options, o)
			}
		}
	}
	if c.Flags().Changed("trim") {
		v.Trim = f.trim
	}
}

func (a *app) filesystemCreate() *cobra.Command {
	f, v := &fileSystemFlags{}, config.FileSystem{}
	c := &cobra.Command{
		Use: "create NAME", Short: "Make a file system on a block device", Args: cobra.ExactArgs(1),
		Long: `Make a file system on a block device and mount it at /mnt/vdisks/NAME. A device that
holds something is refused until the plan is told so by name (--destroy). With --uuid
a file system that is there already is taken up with what it holds.`,
		Example: "  esos filesystem create images --device /dev/vg0/images\n  esos filesystem create old --device /dev/disk/by-id/wwn-0x5000c500a1b2c3d4 --type ext4 --uuid 6ba7b810-9dad-11d1-80b4-00c04fd430c8",
	}
	c.Flags().StringVar(&v.Device, "device", "", "`path` of the block device, like /dev/vg0/images")
	c.Flags().StringVar(&v.Type, "type", "", "xfs (default), ext4 or btrfs")
	c.Flags().StringVar(&v.UUID, "uuid", "", "`UUID` of a file system that is there already")
	f.add(c)
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		if v.Device == "" {
			return usageError{fmt.Errorf("which device? give --device; 'esos disk list' shows the disks")}
		}
		made := v
		made.Name = args[0]
		f.set(c, &made)
		return doc.AddFileSystem(made)
	})
}

func (a *app) filesystemSet() *cobra.Command {
	f := &fileSystemFlags{}
	c := &cobra.Command{
		Use: "set NAME", Short: "Change how a file system is mounted and trimmed", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeFileSystems,
		Example: "  esos filesystem set images --trim daily\n  esos filesystem set images --option discard",
	}
	f.add(c)
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		v, err := doc.FindFileSystem(args[0])
		if err != nil {
			return err
		}
		if !c.Flags().Changed("option") && !c.Flags().Changed("trim") {
			return usageError{errNothing}
		}
		f.set(c, v)
		return nil
	})
}

func (a *app) filesystemDelete() *cobra.Command {
	c := &cobra.Command{
		Use: "delete NAME...", Short: "Give up file systems", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeFileSystems,
		Long: `Give up file systems that no device has a file on. They are unmounted, and what they
hold stays, unless their names are given with --destroy, too.`,
		Example: "  esos filesystem delete images\n  esos filesystem delete images --destroy filesystem/images",
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, name := range args {
			if err := doc.RemoveFileSystem(name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *app) filesystemCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check NAME", Short: "Look for damage on a file system", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeFileSystems,
		Long: `Look for damage on a file system; nothing is changed. One that is mounted tells what it
has met itself; all of it is looked over only while it is not mounted.`,
		RunE: a.with(func(c *cobra.Command, cl *client.Client, args []string) error {
			found, err := cl.CheckFileSystem(c.Context(), args[0])
			if err != nil {
				return err
			}
			if err := a.print(found, func(t *table) { t.pair("good", yesNo(found.Good)); t.pair("said", found.Said) }); err != nil {
				return err
			}
			if !found.Good {
				return errSilent
			}
			return nil
		}),
	}
}

func (a *app) filesystemTrim() *cobra.Command {
	return &cobra.Command{
		Use: "trim NAME", Short: "Tell the disks what of a file system is unused, now", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeFileSystems,
		RunE: a.with(func(c *cobra.Command, cl *client.Client, args []string) error {
			done, err := cl.TrimFileSystem(c.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(done, func(t *table) { t.pair("trimmed", done.Said) })
		}),
	}
}
