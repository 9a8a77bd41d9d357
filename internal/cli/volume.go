package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

func (a *app) volume() *cobra.Command {
	c := &cobra.Command{Use: "volume", Aliases: []string{"volumes"}, Short: "Volumes of volume groups: plain, mirrored, thin, deduplicated, cached"}
	c.AddCommand(a.volumeList(), a.volumeShow(), a.volumeCreate(), a.volumeResize(), a.volumeSet(), a.volumeRename(), a.volumeClone(), a.volumeCache(), a.volumeUncache(), a.volumeDelete())
	return c
}

func (a *app) completeVolumes(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		var names []string
		for _, g := range doc.Storage.VolumeGroups {
			for _, v := range g.Volumes {
				names = append(names, g.Name+"/"+v.Name)
			}
		}
		return names
	})(c, args, typed)
}

// splitVolume takes GROUP/VOLUME apart.
func splitVolume(arg string) (group, name string, err error) {
	if group, name, err = config.SplitVolume(arg); err != nil {
		return "", "", usageError{err}
	}
	return group, name, nil
}

func findVolume(doc *config.Document, arg string) (*config.VolumeGroup, *config.Volume, error) {
	group, name, err := splitVolume(arg)
	if err != nil {
		return nil, nil, err
	}
	return doc.FindVolume(group, name)
}

func (a *app) volumeCreate() *cobra.Command {
	var kind, size, stripeSize, metadata, chunk, physical string
	var v config.Volume
	var deduplicate, compress bool
	c := &cobra.Command{
		Use: "create GROUP/VOLUME", Short: "Create a volume",
		Long: `Create a volume. Its device is /dev/GROUP/VOLUME. A thin volume lies in a thin_pool
and takes space as it is written; a vdo stores equal blocks once, and compressed, on
--physical of the group's space.`,
		Example: "  esos volume create vg0/images --size 500GiB\n  esos volume create vg0/pool --type thin_pool --size 2TiB\n" +
			"  esos volume create vg0/db01 --type thin --pool pool --size 1TiB\n  esos volume create vg0/backup --type vdo --size 10TiB --physical 2TiB",
		Args: cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.StringVar(&kind, "type", "", "linear (default), striped, raid1, raid5, raid6, raid10, thin_pool, thin or vdo")
	f.StringVarP(&size, "size", "s", "", "what its users see, such as 10GiB")
	f.StringVar(&v.Pool, "pool", "", "of a thin volume: its thin pool")
	f.IntVar(&v.Stripes, "stripes", 0, "how many disks data is spread over")
	f.StringVar(&stripeSize, "stripe-size", "", "stripe unit (default 64KiB)")
	f.IntVar(&v.Mirrors, "mirrors", 0, "copies beside the first one (raid1, raid10; default 1)")
	f.StringSliceVar(&v.Devices, "on", nil, "`device` of the group to make it on (more than once, or with commas)")
	f.StringVar(&metadata, "metadata", "", "of a thin pool: room for its metadata")
	f.StringVar(&chunk, "chunk", "", "of a thin pool: what its space is handed out in")
	f.StringVar(&physical, "physical", "", "of a vdo: the space that it takes, at least 5GiB")
	f.BoolVar(&deduplicate, "deduplication", true, "of a vdo: store equal blocks once")
	f.BoolVar(&compress, "compression", true, "of a vdo: compress blocks")
	f.BoolVar(&v.ReadOnly, "read-only", false, "refuse writes")
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		group, name, err := splitVolume(args[0])
		if err != nil {
			return err
		}
		v := v.Clone()
		v.Name, v.Type = name, config.VolumeType(kind)
		if c.Flags().Changed("deduplication") {
			v.Deduplication = new(deduplicate)
		}
		if c.Flags().Changed("compression") {
			v.Compression = new(compress)
		}
		if err := parseSizes(sizeFlag{size, &v.Size}, sizeFlag{stripeSize, &v.StripeSize}, sizeFlag{metadata, &v.Metadata}, sizeFlag{chunk, &v.Chunk}, sizeFlag{physical, &v.Physical}); err != nil {
			return err
		}
		return doc.AddVolume(group, v)
	})
}

func (a *app) volumeResize() *cobra.Command {
	var physical string
	c := &cobra.Command{
		Use: "resize GROUP/VOLUME [SIZE]", Short: "Grow a volume while it is in use",
		Long: `Grow a volume while it is in use. SIZE is the new size, or with a + what is added. A
smaller one cuts the volume off: the plan asks to have it named with --destroy, and refuses
that while something uses it. The file system or device on it is grown by its own command.`,
		Example: "  esos volume resize vg0/db01 +200GiB\n  esos volume resize vg0/backup --physical +1TiB",
		Args:    cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeVolumes,
	}
	c.Flags().StringVar(&physical, "physical", "", "of a vdo: the space that it takes, or with a + what is added")
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		_, v, err := findVolume(doc, args[0])
		if err != nil {
			return err
		}
		if len(args) == 1 && physical == "" {
			return usageError{errNothing}
		}
		resize := func(text string, to *config.Size) error {
			if *to == 0 && strings.HasPrefix(text, "+") {
				return codeError{fmt.Errorf("volume %s has its size from what it is a clone of; write the new size, without +", args[0]), exitInvalid}
			}
			size, err := config.Resized(*to, text)
			if err != nil {
				return usageError{err}
			}
			*to = size
			return nil
		}
		if len(args) == 2 {
			if err := resize(args[1], &v.Size); err != nil {
				return err
			}
		}
		if physical != "" {
			return resize(physical, &v.Physical)
		}
		return nil
	})
}

func (a *app) volumeSet() *cobra.Command {
	var metadata string
	var readOnly, deduplicate, compress bool
	c := &cobra.Command{
		Use: "set GROUP/VOLUME", Short: "Change a volume's settings",
		Example: "  esos volume set vg0/golden --read-only\n  esos volume set vg0/backup --compression=false",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: a.completeVolumes,
	}
	c.Flags().BoolVar(&readOnly, "read-only", false, "refuse writes")
	c.Flags().StringVar(&metadata, "metadata", "", "of a thin pool: room for its metadata")
	c.Flags().BoolVar(&deduplicate, "deduplication", true, "of a vdo: store equal blocks once")
	c.Flags().BoolVar(&compress, "compression", true, "of a vdo: compress blocks")
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		_, v, err := findVolume(doc, args[0])
		if err != nil {
			return err
		}
		given := false
		set := func(name string, copy func()) {
			if c.Flags().Changed(name) {
				copy()
				given = true
			}
		}
		set("read-only", func() { v.ReadOnly = readOnly })
		set("deduplication", func() { v.Deduplication = new(deduplicate) })
		set("compression", func() { v.Compression = new(compress) })
		set("metadata", func() { err = parseSizes(sizeFlag{metadata, &v.Metadata}) })
		if !given {
			return usageError{errNothing}
		}
		return err
	})
}

func (a *app) volumeDelete() *cobra.Command {
	c := &cobra.Command{
		Use: "delete GROUP/VOLUME...", Short: "Delete volumes",
		Long: `Take volumes out of the document. What they hold stays, and 'esos plan' notes it; it is
deleted if they are named: --destroy volume/GROUP/VOLUME.`,
		Example: "  esos volume delete vg0/db01 --destroy volume/vg0/db01",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: a.completeVolumes,
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, arg := range args {
			if _, _, err := splitVolume(arg); err != nil {
				return err
			}
		}
		return doc.RemoveVolumes(args...)
	})
}
