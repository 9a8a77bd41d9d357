package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
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
					t.row(d.ID, d.Path, d.Model, d.Serial, config.Size(d.Size).Human(), kindText(d), slotText(d), healthText(d), usedText(d), d.Holds)
				}
			})
		},
	}
	c.Flags().BoolVarP(&all, "all", "a", false, "partitions, arrays, volumes and all other block devices, too")
	return c
}

// kindText is how a disk is reached, and whether it spins.
func kindText(d v1.Disk) string {
	if d.Type != "disk" {
		return d.Type
	}
	kind := "SSD"
	if d.Rotational {
		kind = "HDD"
	}
	return strings.TrimSpace(d.Transport + " " + kind)
}

func slotText(d v1.Disk) string {
	if d.Location == nil {
		return ""
	}
	return d.Location.Enclosure + " " + d.Location.Slot
}

// healthText is how a disk is, in a word.
func healthText(d v1.Disk) string {
	switch s := d.SMART; {
	case d.Trouble != "":
		return "failing"
	case s == nil:
		return ""
	case s.Passed != nil && s.Asleep:
		return "ok (asleep)"
	case s.Passed != nil:
		return "ok"
	case s.Asleep:
		return "asleep"
	}
	return ""
}

// usedText is who has a device; why it cannot be chosen if nobody has.
func usedText(d v1.Disk) string {
	switch {
	case d.Claimed != "":
		return d.Claimed
	case d.Why != "":
		return "(" + d.Why + ")"
	case d.Free:
		return "free"
	}
	return ""
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
			return a.print(d, func(t *table) { showDisk(t, now, d) })
		},
	}
}

func showDisk(t *table, now v1.StorageState, d v1.Disk) {
	t.pair("Name", d.ID)
	t.pair("Path", d.Path)
	t.pair("Links", strings.Join(d.Links, "\n\t"))
	t.pair("Kind", kindText(d))
	t.pair("Vendor", d.Vendor)
	t.pair("Model", d.Model)
	t.pair("Serial", d.Serial)
	t.pair("WWN", d.WWN)
	t.pair("SCSI address", d.Address)
	t.pair("Size", fmt.Sprintf("%s (%d bytes)", config.Size(d.Size).Human(), d.Size))
	t.pair("Sectors", fmt.Sprintf("%d bytes, on the medium %d", d.Sector, d.Physical))
	t.pair("Read-only", yesNo(d.ReadOnly))
	t.pair("Takes discards", yesNo(d.Discards))
	t.pair("State", d.State)
	if s := d.Location; s != nil {
		t.pair("Slot", strings.TrimSpace(s.Slot+" of enclosure "+s.Enclosure+" "+s.Model))
		t.pair("Locate LED", map[bool]string{true: "blinks", false: "off"}[s.Locate])
		t.pair("Fault LED", yesNo(s.Fault))
	}
	t.pair("Used by", usedText(d))
	if d.Claimed != "" {
		t.pair("Why not free", d.Why)
	}
	t.pair("Holds", d.Holds)
	t.pair("Mounted", strings.Join(d.Mounts, ", "))
	t.pair("Stands on", strings.Join(d.Below, ", "))
	for _, name := range d.Above {
		if p, ok := byKernelName(now, name); ok {
			t.pair("On it", strings.TrimSpace(fmt.Sprintf("%s (%s, %s) %s", p.ID, p.Type, config.Size(p.Size).Human(), p.Holds)))
		}
	}
	showHealth(t, d)
}

func showHealth(t *table, d v1.Disk) {
	s := d.SMART
	if s == nil {
		return
	}
	number := func(name string, n *int64, unit string) {
		if n != nil {
			t.pair(name, fmt.Sprintf("%d%s", *n, unit))
		}
	}
	t.pair("Health", healthText(d))
	t.pair("Trouble", d.Trouble)
	if !s.When.IsZero() {
		t.pair("As of", when(s.When))
	}
	t.pair("Firmware", s.Firmware)
	number("Temperature", s.Celsius, " °C")
	number("Powered on", s.Hours, " hours")
	number("Spins at", s.RPM, " rpm")
	number("Endurance used", s.Used, " %")
	number("Spare left", s.Spare, " %")
	number("Sectors replaced", s.Relocated, "")
	number("Sectors pending", s.Pending, "")
	number("Media errors", s.Media, "")
	if st := s.SelfTest; st != nil {
		t.pair("Last self-test", st.Kind+": "+st.Result)
	}
	t.pair("Not asked", s.Error)
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
	for _, d := range slices.Concat(now.Disks, now.Blocks) {
		if slices.Contains([]string{d.ID, d.Path, d.Name}, name) || slices.Contains(d.Links, name) || slices.Contains(d.Links, "/dev/disk/by-id/"+name) {
			return d, nil
		}
	}
	return v1.Disk{}, codeError{fmt.Errorf("there is no disk %q; 'esos disk list' shows those that are there", name), exitNotFound}
}

func byKernelName(now v1.StorageState, name string) (v1.Disk, bool) {
	for _, d := range slices.Concat(now.Disks, now.Blocks) {
		if d.Name == name {
			return d, true
		}
	}
	return v1.Disk{}, false
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
