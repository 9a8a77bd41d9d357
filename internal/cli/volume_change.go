package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

func (a *app) volumeRename() *cobra.Command {
	c := &cobra.Command{
		Use: "rename GROUP/VOLUME NAME", Short: "Rename a volume while it is in use",
		Long: `Rename a volume while it is in use. What stands on it, file systems, devices, clones,
finds it by its new name.`,
		Example: "  esos volume rename vg0/db01 db-old",
		Args:    cobra.ExactArgs(2), ValidArgsFunction: a.completeVolumes,
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		group, name, err := splitVolume(args[0])
		if err != nil {
			return err
		}
		return doc.RenameVolume(group, name, args[1])
	})
}

func (a *app) volumeClone() *cobra.Command {
	var size string
	var readOnly bool
	c := &cobra.Command{
		Use: "clone GROUP/VOLUME NAME", Short: "Make a volume that begins with what another one holds",
		Long: `Make a thin volume that begins with what another thin volume, or a snapshot of one, holds
at that moment. It takes space only for what is written to either of them later, and
neither depends on the other.`,
		Example: "  esos volume clone vg0/db01 db01-test\n  esos volume clone vg0/hourly-20261128-140000 rescued",
		Args:    cobra.ExactArgs(2), ValidArgsFunction: a.completeVolumes,
	}
	c.Flags().StringVarP(&size, "size", "s", "", "a larger size than its origin's")
	c.Flags().BoolVar(&readOnly, "read-only", false, "refuse writes")
	var pool string
	c.Flags().StringVar(&pool, "pool", "", "thin pool of an origin that the document does not have, a snapshot")
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		group, origin, err := splitVolume(args[0])
		if err != nil {
			return err
		}
		v := config.Volume{Name: args[1], Pool: pool, CloneOf: origin, ReadOnly: readOnly}
		if err := parseSizes(sizeFlag{size, &v.Size}); err != nil {
			return err
		}
		err = doc.CloneVolume(group, v)
		if errors.Is(err, config.ErrNotThin) {
			return codeError{err, exitInvalid}
		}
		return err
	})
}

func (a *app) volumeCache() *cobra.Command {
	var size string
	k := config.Cache{}
	c := &cobra.Command{
		Use: "cache GROUP/VOLUME", Short: "Put a faster device in front of a volume",
		Long: `Put a cache on a faster device of the same volume group in front of a volume, while it is
in use. A writethrough cache loses nothing if that device fails; a writeback cache, and a
writecache, do: use them on mirrored devices only.`,
		Example: "  esos volume cache vg0/db01 --device /dev/md/nvme --size 100GiB\n  esos volume cache vg0/db01 --device /dev/md/nvme --size 20GiB --type writecache",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: a.completeVolumes,
	}
	c.Flags().StringVar(&k.Device, "device", "", "device of the group that it lies on")
	c.Flags().StringVarP(&size, "size", "s", "", "its size")
	c.Flags().StringVar(&k.Type, "type", "", "cache (default) or writecache")
	c.Flags().StringVar(&k.Mode, "mode", "", "of a cache: writethrough (default) or writeback")
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		_, v, err := findVolume(doc, args[0])
		if err != nil {
			return err
		}
		if v.Cache == nil {
			v.Cache = &config.Cache{}
		}
		for name, copy := range map[string]func(){
			"device": func() { v.Cache.Device = k.Device },
			"type":   func() { v.Cache.Type = k.Type },
			"mode":   func() { v.Cache.Mode = k.Mode },
		} {
			if c.Flags().Changed(name) {
				copy()
			}
		}
		return parseSizes(sizeFlag{size, &v.Cache.Size})
	})
}

func (a *app) volumeUncache() *cobra.Command {
	c := &cobra.Command{
		Use: "uncache GROUP/VOLUME", Short: "Write back what a volume's cache holds and take it away",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeVolumes,
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		_, v, err := findVolume(doc, args[0])
		if err != nil {
			return err
		}
		if v.Cache == nil {
			return codeError{fmt.Errorf("volume %s has no cache", args[0]), exitNotFound}
		}
		v.Cache = nil
		return nil
	})
}
