package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/host/hwraid"
	"github.com/esos-project/esos/internal/inventory"
)

func (h *hardware) removeVolumeCommand() *cobra.Command {
	f := &changeFlags{}
	c := &cobra.Command{
		Use: "remove-volume CONTROLLER VOLUME", Aliases: []string{"delete-volume"}, Short: "Delete a volume with all that it holds", Args: cobra.ExactArgs(2),
		Long: `Delete a volume of a controller, with all that it holds; its drives are free then. It
is refused as long as anything uses the disk that it is to this machine: an array, a
volume group, a file system, a device, an initiator. The daemon is asked for that.

It is carried out if hwraid/CONTROLLER/VOLUME is named, on a terminal or with
--destroy.`,
		Example: "  esos hwraid remove-volume mega0 1\n  esos hwraid remove-volume mega0 1 --destroy hwraid/mega0/1",
		RunE: func(c *cobra.Command, args []string) error {
			on, _, err := h.find(c.Context(), args[0])
			if err != nil {
				return err
			}
			v, err := volumeOf(on, args[1])
			if err != nil {
				return err
			}
			lost, err := h.unused(c.Context(), on, v)
			if err != nil {
				return err
			}
			name := fmt.Sprintf("hwraid/%s/%d", on.ID, v.Number)
			fmt.Fprintf(h.notes(), "Volume %d of controller %s, %s, %s, drives %s: %s\n", v.Number, on.ID, v.Level, v.Size, strings.Join(v.Drives, " "), lost)
			if f.dryRun {
				fmt.Fprintf(h.notes(), "would destroy %s; nothing was changed\n", name)
				return nil
			}
			if err := h.consent(v1.Plan{Needs: []string{name}}, f, false); err != nil {
				return err
			}
			// An answer may have taken its time: is it still the same, and unused?
			again, program, err := h.same(c.Context(), on, v)
			if err != nil {
				return err
			}
			if err := program.RemoveVolume(c.Context(), on.Number, again.Number); err != nil {
				if again.Disk != "" {
					err = fmt.Errorf("%w\nIf the controller minds what is on the volume: 'esos disk wipe %s' first", err, again.Disk)
				}
				return err
			}
			fmt.Fprintf(h.notes(), "deleted volume %d of controller %s\n", v.Number, on.ID)
			return nil
		},
	}
	c.Flags().StringSliceVar(&f.destroy, "destroy", nil, "the volume as `object` that may be destroyed, hwraid/CONTROLLER/VOLUME")
	c.Flags().BoolVarP(&f.dryRun, "dry-run", "n", false, "say what would be lost and change nothing")
	return c
}

// volumeOf finds a volume by its number.
func volumeOf(on hwraid.Controller, name string) (hwraid.Volume, error) {
	for _, v := range on.Volumes {
		if fmt.Sprint(v.Number) == name {
			return v, nil
		}
	}
	return hwraid.Volume{}, notFound(&hwraid.NotThereError{What: "volume", Name: name, Controller: on.ID})
}

// same looks again at a volume that is to go.
func (h *hardware) same(ctx context.Context, on hwraid.Controller, v hwraid.Volume) (hwraid.Volume, controllers, error) {
	now, program, err := h.find(ctx, on.ID)
	if err != nil {
		return v, nil, err
	}
	again, err := now.Volume(v.Number)
	if err != nil {
		return v, nil, notFound(err)
	}
	if now.Serial != on.Serial || again.NAA != v.NAA || again.Level != v.Level || !slices.Equal(again.Drives, v.Drives) {
		return v, nil, codeError{fmt.Errorf("volume %d of controller %s is another one now: nothing was changed", v.Number, on.ID), exitConflict}
	}
	if _, err := h.unused(ctx, now, again); err != nil {
		return v, nil, err
	}
	return again, program, nil
}

// unused says what is lost with a volume; an error if anything uses the disk
// that it is to this machine. That is asked as 'esos disk wipe' does: the daemon
// knows who has it, and a plan that would wipe it looks closer.
func (h *hardware) unused(ctx context.Context, on hwraid.Controller, v hwraid.Volume) (lost string, err error) {
	cl, err := h.connect()
	if err != nil {
		return "", err
	}
	defer cl.Close()
	now, err := cl.Storage(ctx)
	if err != nil {
		return "", err
	}
	inUse := func(disk, why string) error {
		return codeError{fmt.Errorf("volume %d of controller %s is %s here, which is in use: %s. Give up what uses it first ('esos disk show %s')", v.Number, on.ID, disk, strings.TrimSuffix(why, "."), disk), exitConflict}
	}
	d, seen, err := diskOf(now, on, v)
	if err != nil {
		return "", codeError{err, exitConflict}
	}
	if !seen {
		return "this machine does not have it as a disk; what it holds is not known, and is lost", nil
	}
	if d.Claimed != "" || d.Why != "" {
		why := d.Why
		if why == "" {
			why = d.Claimed
		}
		return "", inUse(d.Path, why)
	}
	text, err := h.wouldBeLost(ctx, cl, d)
	var no *refusedError
	if errors.As(err, &no) {
		return "", inUse(d.Path, no.why)
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("it is %s here: %s", d.Path, text), nil
}

// refusedError is a plan that cannot be carried out.
type refusedError struct{ why string }

func (e *refusedError) Error() string { return e.why }

// wouldBeLost has a plan made that gives the disk up, and carries nothing out.
func (*hardware) wouldBeLost(ctx context.Context, cl *client.Client, d v1.Disk) (string, error) {
	old, err := cl.Document(ctx, false)
	if err != nil {
		return "", err
	}
	p, err := cl.Plan(ctx, old.Text, []string{"disk/" + trimDisk(d.ID)})
	if err != nil {
		return "", err
	}
	if len(p.Refused) > 0 {
		return "", &refusedError{p.Refused[0].Message}
	}
	for _, s := range p.Steps {
		if s.Destroys != "" {
			return s.Destroys, nil
		}
	}
	if d.Holds != "" {
		return "it holds " + d.Holds + "; all of that is lost", nil
	}
	return "nothing is known to be on it, and what there is, is lost", nil
}

// diskOf finds the disk that a volume is to this machine: by the identifier or
// serial number that both tell, and by the kernel's name. If they do not agree, nobody can tell.
func diskOf(now v1.StorageState, on hwraid.Controller, v hwraid.Volume) (d v1.Disk, seen bool, err error) {
	if v.NAA != "" {
		for _, x := range now.Disks {
			if strings.TrimPrefix(strings.ToLower(x.WWN), "0x") == v.NAA || strings.HasSuffix(strings.ToLower(x.ID), v.NAA) {
				d, seen = x, true
				break
			}
		}
	}
	if !seen && len(v.Serial) >= 8 {
		for _, x := range now.Disks {
			if strings.EqualFold(x.Serial, v.Serial) {
				d, seen = x, true
				break
			}
		}
	}
	if v.Disk == "" {
		if !seen && v.NAA == "" {
			return d, false, fmt.Errorf("%s does not tell which disk of this machine volume %d of controller %s is, and so not whether it is in use: use the program itself, if nothing uses it", on.Program, v.Number, on.ID)
		}
		return d, seen, nil
	}
	named, ok := inventory.Find(now, v.Disk)
	switch {
	case !ok:
		return d, false, fmt.Errorf("%s has volume %d of controller %s as %s, which is not among the disks: look at 'esos disk list', and try again", on.Program, v.Number, on.ID, v.Disk)
	case seen && named.Name != d.Name:
		return d, false, fmt.Errorf("%s has volume %d of controller %s as %s, but its identifier is that of %s: nobody can tell which of them would be lost", on.Program, v.Number, on.ID, v.Disk, d.Path)
	case !seen && v.NAA != "" && named.WWN != "" && !strings.HasPrefix(v.NAA, strings.TrimPrefix(strings.ToLower(named.WWN), "0x")):
		return d, false, fmt.Errorf("%s has volume %d of controller %s as %s, which has another identifier: look at 'esos disk show %s'", on.Program, v.Number, on.ID, v.Disk, v.Disk)
	}
	return named, true, nil
}
