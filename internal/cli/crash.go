package cli

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/crash"
	"github.com/esos-project/esos/internal/crash/load"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/attach"
	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/shelf"
)

func (a *app) crash() *cobra.Command {
	c := &cobra.Command{Use: "crash", Short: "What was saved of kernels that crashed"}
	list := &cobra.Command{
		Use: "list", Short: "List the crash dumps on the medium, the oldest first", Args: cobra.NoArgs,
		Long: `List the crash dumps on the boot medium, the oldest first. A kernel that crashes is
saved by a second one: its messages, and its memory without what belongs to programs
and caches. Older dumps lose their memory image when room is needed, and keep the
messages. It needs root, and not the daemon.`,
		RunE: a.onShelf("list the crash dumps", func(s shelf.Shelf, _ []string) error {
			all, err := crash.List(s)
			if err != nil {
				return err
			}
			return a.print(all, func(t *table) {
				t.head("name", "when", "version", "slot", "memory", "reason")
				for _, d := range all {
					t.row(d.Name, when(d.When), d.Version, d.Slot, memoryOf(d), d.Reason)
				}
			})
		}),
	}
	show := &cobra.Command{
		Use: "show NAME", Short: "Print the messages of a kernel that crashed", Args: cobra.ExactArgs(1),
		Long:    "Print the messages of a kernel that crashed; with -o json or yaml, what is known of the\ndump. NAME latest is the newest dump. It needs root.",
		Example: "  esos crash show latest | tail -60",
		RunE: a.onShelf("show a crash dump", func(s shelf.Shelf, args []string) error {
			d, err := findDump(s, args[0])
			if err != nil {
				return err
			}
			if a.output != asTable {
				return a.print(d, nil)
			}
			f, err := os.Open(filepath.Join(s.Dumps(), d.Name, crash.MessagesFile))
			if err != nil {
				return fmt.Errorf("crash dump %s has no messages: %s: %w", d.Name, d.Error, err)
			}
			defer f.Close()
			_, err = io.Copy(a.out, f)
			return err
		}),
	}
	export := &cobra.Command{
		Use: "export NAME FILE", Short: "Copy a crash dump off the medium, as a tar file", Args: cobra.ExactArgs(2),
		Long: `Copy a crash dump off the medium, as a tar file of the memory image, the messages
and their description; FILE - is the standard output. The programs crash and
makedumpfile read the memory image. The alert about the dump is cleared. It needs
root. The appliance's own files are in its memory: export to an array's file system,
or through SSH.`,
		Example: "  ssh root@array esos crash export latest - >dump.tar",
		RunE: a.onShelf("export a crash dump", func(s shelf.Shelf, args []string) error {
			d, err := findDump(s, args[0])
			if err != nil {
				return err
			}
			if err := a.writeTo(args[1], func(w io.Writer) error { return tarOf(w, s.Dumps(), d.Name) }); err != nil {
				return fmt.Errorf("export crash dump %s: %w", d.Name, err)
			}
			return seeDumps(s, d.Name)
		}),
	}
	remove := &cobra.Command{
		Use: "delete NAME", Short: "Delete a crash dump from the medium", Args: cobra.ExactArgs(1),
		Long: "Delete a crash dump from the medium. The alert about it is cleared. It needs root.",
		RunE: a.onShelf("delete a crash dump", func(s shelf.Shelf, args []string) error {
			err := crash.Delete(s, args[0])
			if errors.Is(err, crash.ErrNotFound) {
				return notFound(err)
			}
			return errors.Join(err, seeDumps(s))
		}),
	}
	ack := &cobra.Command{
		Use: "ack [NAME]", Short: "Say that a crash was seen to: its alert is cleared", Args: cobra.MaximumNArgs(1),
		Long: "Say that a crash was seen to, or all of them: the alert is cleared within seconds, and the\ndump is kept. It needs root.",
		RunE: a.onShelf("acknowledge a crash dump", func(s shelf.Shelf, args []string) error {
			var names []string
			if len(args) == 1 {
				d, err := findDump(s, args[0])
				if err != nil {
					return err
				}
				names = append(names, d.Name)
			} else {
				all, err := s.DumpNames()
				if err != nil {
					return err
				}
				names = all
			}
			return seeDumps(s, names...)
		}),
	}
	c.AddCommand(list, show, export, remove, ack, a.crashLoad())
	return c
}

// crashLoad is what the appliance's unit runs.
func (a *app) crashLoad() *cobra.Command {
	return &cobra.Command{
		Use: "load", Short: "Prepare for a crash of the kernel, and look for dumps", Args: cobra.NoArgs,
		Long: `Load the crash kernel into the memory that is reserved for it, and look for new dumps
on the medium. The appliance does this at each boot. A failure raises the alert
crash.unprotected. It needs root.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := forRoot("load the crash kernel"); err != nil {
				return err
			}
			state, err := load.New().Load(c.Context())
			switch {
			case err != nil:
			case state.Small:
				fmt.Fprintln(a.out, "no crash kernel: this machine has less than 1 GiB of memory")
			default:
				fmt.Fprintf(a.out, "the crash kernel is that of slot %s; %s of memory are reserved for it\n", state.Slot, disk.HumanSize(state.Reserved))
			}
			err = errors.Join(err, withShelf(c.Context(), func(s shelf.Shelf) error { return seeDumps(s) }))
			return mediumCode(err)
		},
	}
}

// onShelf makes a command that root runs on the medium's log partition.
func (a *app) onShelf(what string, do func(s shelf.Shelf, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if err := forRoot(what); err != nil {
			return err
		}
		err := withShelf(c.Context(), func(s shelf.Shelf) error { return do(s, args) })
		var coded codeError
		if err == nil || errors.As(err, &coded) {
			return err
		}
		return mediumCode(fmt.Errorf("%s: %w", what, err))
	}
}

// forRoot refuses what only root may do, on an appliance only.
func forRoot(what string) error {
	if err := attach.Booted(); err != nil {
		return mediumCode(fmt.Errorf("%s: %w", what, err))
	}
	if os.Geteuid() != 0 {
		return codeError{fmt.Errorf("%s: only root may; use sudo", what), exitDenied}
	}
	return nil
}

// withShelf does something with the medium's log partition.
func withShelf(ctx context.Context, do func(shelf.Shelf) error) (err error) {
	m, err := attach.Open(ctx, medium.LabelLogs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	return do(shelf.At(m.Dir))
}

// mediumCode gives an error the exit code of its cause, if that is the medium.
func mediumCode(err error) error {
	var gone *attach.GoneError
	switch {
	case errors.As(err, &gone):
		return codeError{err, exitMedium}
	case errors.Is(err, attach.ErrNoMedium):
		return notFound(err)
	}
	return err
}

func findDump(s shelf.Shelf, name string) (crash.Dump, error) {
	d, err := crash.Find(s, name)
	if errors.Is(err, crash.ErrNotFound) {
		return d, notFound(err)
	}
	return d, err
}

// seeDumps tells the daemon which dumps there are, and which somebody has seen
// to just now.
func seeDumps(s shelf.Shelf, names ...string) error {
	all, err := crash.List(s)
	if err != nil {
		return err
	}
	if err := crash.WriteFound(crash.FoundPath, all); err != nil {
		return err
	}
	if len(names) == 0 {
		return nil
	}
	return crash.See(crash.SeenPath, names, all)
}

func memoryOf(d crash.Dump) string {
	switch {
	case d.Complete:
		return disk.HumanSize(d.Size)
	case d.Dropped:
		return "dropped"
	}
	return "incomplete"
}

// writeTo writes to a file, or to the standard output if that is "-". A file
// that could not be written whole is removed.
func (a *app) writeTo(name string, write func(io.Writer) error) error {
	if name == "-" {
		return write(a.out)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Sync(), f.Close())
	if err != nil {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// tarOf writes a directory with the files in it as a tar file.
func tarOf(w io.Writer, parent, name string) error {
	entries, err := os.ReadDir(filepath.Join(parent, name))
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := addFile(t, filepath.Join(parent, name, e.Name()), name+"/"+e.Name()); err != nil {
			return err
		}
	}
	return t.Close()
}

func addFile(t *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: st.Size(), ModTime: st.ModTime()}); err != nil {
		return err
	}
	_, err = io.Copy(t, io.LimitReader(f, st.Size()))
	return err
}
