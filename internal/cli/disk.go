package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/inventory"
)

func (a *app) disk() *cobra.Command {
	c := &cobra.Command{Use: "disk", Aliases: []string{"disks"}, Short: "The machine's disks, and who has each"}
	c.AddCommand(a.diskList(), a.diskShow(), a.diskLocate(), a.diskWipe(), a.diskDiscard())
	return c
}

func (a *app) diskList() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "list", Short: "List the disks", Args: cobra.NoArgs,
		Long: `List the disks: what each is called, where it is, who has it, and why it cannot be
chosen for something new. Disks are not read for that; what is on one that no
signature tells of, a plan finds out.`,
		RunE: func(c *cobra.Command, _ []string) error {
			now, err := a.fetchStorage(c)
			if err != nil {
				return err
			}
			list := now.Disks
			if all {
				list = append(list, now.Blocks...)
			}
			return a.print(list, func(t *table) {
				t.head("name", "path", "model", "serial", "size", "kind", "slot", "health", "used by", "holds")
				for _, d := range list {
					t.row(d.ID, d.Path, d.Model, d.Serial, config.Size(d.Size).Human(), inventory.Kind(d), inventory.Slot(d), inventory.Health(d), inventory.Used(d), d.Holds)
				}
			})
		},
	}
	c.Flags().BoolVarP(&all, "all", "a", false, "partitions, arrays, volumes and all other block devices, too")
	return c
}

func (a *app) diskShow() *cobra.Command {
	return &cobra.Command{
		Use: "show DISK", Short: "Show one disk, or another block device", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeDisks,
		RunE: func(c *cobra.Command, args []string) error {
			now, err := a.fetchStorage(c)
			if err != nil {
				return err
			}
			d, err := findDisk(now, args[0])
			if err != nil {
				return err
			}
			return a.print(d, func(t *table) { t.pairs(inventory.Disk(now, d)) })
		},
	}
}

func (a *app) diskLocate() *cobra.Command {
	var off bool
	c := &cobra.Command{
		Use: "locate DISK", Short: "Make the LED at a disk blink", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeDisks,
		Example: "  esos disk locate scsi-35000cca01234abcd\n  esos disk locate scsi-35000cca01234abcd --off",
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			defer cl.Close()
			if err := cl.LocateDisk(c.Context(), trimDisk(args[0]), !off); err != nil {
				return err
			}
			fmt.Fprintln(a.notes(), map[bool]string{true: "it does not blink any more", false: "it blinks; end that with --off"}[off])
			return nil
		},
	}
	c.Flags().BoolVar(&off, "off", false, "end that")
	return c
}

func (a *app) diskWipe() *cobra.Command {
	c := &cobra.Command{
		Use: "wipe DISK", Short: "Take away what tells what is on a disk", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeDisks,
		Long: `Take away the signatures and the partition table of a disk, and what is in its
first and last MiB, so that it counts as blank. What was on it is lost. The rest of
its bytes stays, and can be read by who has the disk: to have a disk forget, discard
it or use its own means.

A disk that anything uses is refused. The plan says what is lost; it is carried out
if disk/DISK is named, on a terminal or with --destroy.`,
		Example: "  esos disk wipe ata-WDC_WD40EFRX-68N32N0_WD-WCC7K0000001\n  esos disk wipe sdc --destroy disk/sdc",
	}
	return a.givingUp(c, "disk/", "it is blank")
}

func (a *app) diskDiscard() *cobra.Command {
	c := &cobra.Command{
		Use: "discard DISK", Short: "Wipe a disk and tell it that nothing on it is needed", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeDisks,
		Long: `Wipe a disk and discard all of its bytes (TRIM, UNMAP): flash is as fast as new
after that. What was on it is lost, and can mostly not be read any more, though no
standard promises that.

The plan says what is lost; it is carried out if discard/DISK is named, on a
terminal or with --destroy.`,
		Example: "  esos disk discard nvme-INTEL_SSDPE2KX080T8_PHLJ0000 --destroy discard/nvme-INTEL_SSDPE2KX080T8_PHLJ0000",
	}
	return a.givingUp(c, "discard/", "there is nothing to discard")
}

// givingUp makes a command that gives a disk up by its name: a change that
// leaves the document as it is.
func (a *app) givingUp(c *cobra.Command, kind, nothing string) *cobra.Command {
	f := &changeFlags{}
	f.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if f.why == "" {
			f.why = strings.Join(append([]string{c.CommandPath()}, args...), " ")
		}
		cl, err := a.connect()
		if err != nil {
			return err
		}
		defer cl.Close()
		now, err := cl.Storage(c.Context())
		if err != nil {
			return err
		}
		d, err := findDisk(now, args[0])
		if err != nil {
			return err
		}
		if d.Why != "" {
			return fmt.Errorf("%s: %s", args[0], d.Why)
		}
		old, err := cl.Document(c.Context(), false)
		if err != nil {
			return err
		}
		name := kind + trimDisk(args[0])
		p, err := cl.Plan(c.Context(), old.Text, append(slices.Clone(f.destroy), name))
		if err != nil {
			return err
		}
		if len(p.Refused) > 0 {
			return fmt.Errorf("%s: %s", p.Refused[0].Location, p.Refused[0].Message)
		}
		if len(p.Steps) == 0 {
			fmt.Fprintf(a.notes(), "%s: %s\n", args[0], nothing)
			return nil
		}
		if !slices.Contains(f.destroy, name) { // it was named to see the plan, not to have it done
			p.Needs = append(p.Needs, name)
		}
		if f.dryRun {
			return a.showPlan(p)
		}
		return a.carryOut(c.Context(), cl, p, f, false, func() (v1.Operation, error) {
			return cl.Apply(c.Context(), old.Text, client.ChangeOptions{IfMatch: old.ETag, Why: f.why, Destroy: f.destroy})
		})
	}
	return c
}

// trimDisk is the name of a disk in --destroy and in the API's paths.
func trimDisk(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "/dev/"), "disk/by-id/")
}

// findDisk finds a block device by what people call it.
func findDisk(now v1.StorageState, name string) (v1.Disk, error) {
	if d, ok := inventory.Find(now, name); ok {
		return d, nil
	}
	return v1.Disk{}, codeError{fmt.Errorf("there is no disk %q; 'esos disk list' shows those that are there", name), exitNotFound}
}

func (a *app) fetchStorage(c *cobra.Command) (v1.StorageState, error) {
	cl, err := a.connect()
	if err != nil {
		return v1.StorageState{}, err
	}
	defer cl.Close()
	return cl.Storage(c.Context())
}

func (a *app) completeDisks(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	now, err := a.fetchStorage(c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var match []string
	for _, d := range now.Disks {
		if strings.HasPrefix(d.ID, typed) {
			match = append(match, d.ID)
		}
	}
	return match, cobra.ShellCompDirectiveNoFileComp
}
