package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

func (a *app) device() *cobra.Command {
	c := &cobra.Command{Use: "device", Aliases: []string{"devices"}, Short: "Disks and CD-ROM drives that LUNs lead to"}
	c.AddCommand(a.deviceList(), a.deviceShow(), a.deviceCreate(), a.deviceSet(), a.deviceResize(), a.deviceInsert(), a.deviceEject(), a.deviceDelete())
	return c
}

func (a *app) deviceList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the devices", Args: cobra.NoArgs,
		RunE: a.reading(func(_ []string, doc *config.Document) error {
			return a.print(doc.Devices, func(t *table) {
				t.head("name", "handler", "size", "block", "provisioning", "path", "luns")
				for _, d := range doc.Devices {
					t.row(d.Name, d.Handler, sizeText(d.Size), numberText(d.BlockSize), d.Provisioning, d.Path, len(doc.LUNsOf(d.Name)))
				}
			})
		}),
	}
}

func (a *app) deviceShow() *cobra.Command {
	return &cobra.Command{
		Use: "show DEVICE", Short: "Show one device", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeDevices,
		RunE: a.reading(func(args []string, doc *config.Document) error {
			d, err := doc.FindDevice(args[0])
			if err != nil {
				return err
			}
			return a.print(d, func(t *table) {
				t.pair("Name", d.Name)
				t.pair("Handler", d.Handler)
				t.pair("Path", d.Path)
				t.pair("Size", sizeText(d.Size))
				t.pair("Provisioning", d.Provisioning)
				t.pair("Block size", numberText(d.BlockSize))
				t.pair("Write-through", yesNo(d.WriteThrough))
				t.pair("O_DIRECT", yesNo(d.ODirect))
				t.pair("Read-only", yesNo(d.ReadOnly))
				t.pair("Removable", yesNo(d.Removable))
				t.pair("Rotational", yesNo(d.Rotational))
				t.pair("Serial", d.Identity.Serial)
				t.pair("NAA", d.Identity.NAA)
				t.pair("T10 ID", d.Identity.T10ID)
				t.pair("Vendor", d.Identity.Vendor)
				t.pair("Product", d.Identity.Product)
				t.pair("Revision", d.Identity.Revision)
				attributePairs(t, "Attribute ", d.Attributes)
				namespace, _ := doc.NVMe.NamespaceOf(d.Name)
				t.pair("Namespace", strings.TrimPrefix(namespace, "nvme-namespace/"))
				t.pair("LUNs", strings.Join(doc.LUNsOf(d.Name), "\n\t"))
			})
		}),
	}
}

// deviceFlags are a device's attributes as flags.
type deviceFlags struct {
	handler, path, size string
	thick               bool
	attributes          []string
	d                   config.Device
}

func (f *deviceFlags) add(c *cobra.Command, create bool) {
	fl := c.Flags()
	if create {
		fl.StringVar(&f.handler, "handler", string(config.FileIO), "what serves it: vdisk_fileio, vdisk_blockio, vdisk_nullio, vdisk_memory or vcdrom; dev_disk, dev_tape, dev_changer, dev_cdrom, dev_modisk, dev_processor or dev_raid pass a SCSI device on")
		fl.StringVarP(&f.size, "size", "s", "", "such as 10GiB (not for block devices and ISO files)")
		fl.StringVar(&f.path, "path", "", "file or block device, relative to the data directory (default: devices/DEVICE.img there); SCSI device or HOST:CHANNEL:ID:LUN with dev_ handlers")
		fl.BoolVar(&f.thick, "thick", false, "take all space at once, not as it is written")
		fl.IntVar(&f.d.BlockSize, "block-size", 0, "512 (default) or 4096")
	} else {
		fl.StringVar(&f.path, "path", "", "file or block device, relative to the data directory")
	}
	fl.BoolVar(&f.d.WriteThrough, "write-through", false, "each write is on the disk before it is acknowledged")
	fl.BoolVar(&f.d.ODirect, "o-direct", false, "around the page cache")
	fl.BoolVar(&f.d.ReadOnly, "read-only", false, "initiators can only read")
	fl.BoolVar(&f.d.Removable, "removable", false, "removable medium")
	fl.BoolVar(&f.d.Rotational, "rotational", false, "initiators are told of a spinning disk, not of an SSD")
	fl.StringVar(&f.d.Identity.Serial, "serial", "", "unit serial number (default: from the array's ID)")
	fl.StringVar(&f.d.Identity.NAA, "naa", "", "NAA identifier, 16 or 32 hex digits (default: from the array's ID)")
	fl.StringVar(&f.d.Identity.T10ID, "t10-id", "", "T10 vendor identification")
	fl.StringVar(&f.d.Identity.Vendor, "vendor", "", "vendor, up to 8 characters")
	fl.StringVar(&f.d.Identity.Product, "product", "", "product, up to 16 characters")
	fl.StringVar(&f.d.Identity.Revision, "revision", "", "product revision, up to 4 characters")
	attributeFlag(c, &f.attributes)
}

// set copies the attributes that were given on the command line.
func (f *deviceFlags) set(c *cobra.Command, d *config.Device) error {
	given := c.Flags().Changed
	set := func(name string, copy func()) {
		if given(name) {
			copy()
		}
	}
	set("path", func() { d.Path = f.path })
	set("block-size", func() { d.BlockSize = f.d.BlockSize })
	set("write-through", func() { d.WriteThrough = f.d.WriteThrough })
	set("o-direct", func() { d.ODirect = f.d.ODirect })
	set("read-only", func() { d.ReadOnly = f.d.ReadOnly })
	set("removable", func() { d.Removable = f.d.Removable })
	set("rotational", func() { d.Rotational = f.d.Rotational })
	set("serial", func() { d.Identity.Serial = f.d.Identity.Serial })
	set("naa", func() { d.Identity.NAA = f.d.Identity.NAA })
	set("t10-id", func() { d.Identity.T10ID = f.d.Identity.T10ID })
	set("vendor", func() { d.Identity.Vendor = f.d.Identity.Vendor })
	set("product", func() { d.Identity.Product = f.d.Identity.Product })
	set("revision", func() { d.Identity.Revision = f.d.Identity.Revision })
	return setAttributes(&d.Attributes, f.attributes)
}

func (a *app) deviceCreate() *cobra.Command {
	f := &deviceFlags{}
	c := &cobra.Command{
		Use:   "create DEVICE",
		Short: "Create a device",
		Long: `Create a device. A file that is not there yet is made, with --size; one that is
there is used as it is.`,
		Example: "  esos device create db01 --size 100GiB\n  esos device create fast --handler vdisk_blockio --path /dev/nvme0n1\n" +
			"  esos device create install --handler vcdrom --path /srv/debian.iso\n  esos device create lto --handler dev_tape --path 3:0:0:0",
		Args: cobra.ExactArgs(1),
	}
	f.add(c, true)
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		d := config.Device{Name: args[0], Handler: config.Handler(f.handler)}
		if err := f.set(c, &d); err != nil {
			return err
		}
		if f.size != "" {
			var err error
			if d.Size, err = config.ParseSize(f.size); err != nil {
				return usageError{err}
			}
		}
		if f.thick {
			d.Provisioning = config.Thick
		}
		return doc.AddDevice(d)
	})
}

func (a *app) deviceSet() *cobra.Command {
	f := &deviceFlags{}
	c := &cobra.Command{
		Use:   "set DEVICE",
		Short: "Change a device's attributes",
		Long: `Change those attributes that are given. Some are changed while initiators use the
device; others make a new device of it, which the plan says.`,
		Example: "  esos device set db01 --write-through\n  esos device set db01 --rotational=false\n  esos device set db01 --attribute queue_depth=64",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: a.completeDevices,
	}
	f.add(c, false)
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		d, err := doc.FindDevice(args[0])
		if err != nil {
			return err
		}
		return f.set(c, d)
	})
}

func (a *app) deviceResize() *cobra.Command {
	c := &cobra.Command{
		Use:   "resize DEVICE SIZE",
		Short: "Grow a device while it is in use",
		Long: `Grow a device while it is in use; initiators are told. SIZE is the new size, or
with a + what is added. Devices do not shrink.`,
		Example: "  esos device resize db01 200GiB\n  esos device resize db01 +50GiB",
		Args:    cobra.ExactArgs(2), ValidArgsFunction: a.completeDevices,
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		d, err := doc.FindDevice(args[0])
		if err != nil {
			return err
		}
		more, add := strings.CutPrefix(args[1], "+")
		size, err := config.ParseSize(more)
		if err != nil {
			return usageError{err}
		}
		if add {
			size += d.Size
		}
		if size < d.Size {
			return codeError{fmt.Errorf("device %s has %s: it cannot shrink to %s", d.Name, d.Size, size), exitInvalid}
		}
		d.Size = size
		return nil
	})
}

func (a *app) deviceInsert() *cobra.Command {
	c := &cobra.Command{
		Use: "insert DEVICE ISO", Short: "Put an ISO file into a CD-ROM drive",
		Long:    "Put an ISO file into a CD-ROM drive. A relative path is below the data directory.",
		Example: "  esos device insert install /srv/debian.iso",
		Args:    cobra.ExactArgs(2), ValidArgsFunction: a.completeDevices,
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		return insert(doc, args[0], args[1])
	})
}

func (a *app) deviceEject() *cobra.Command {
	c := &cobra.Command{
		Use: "eject DEVICE", Short: "Take the ISO file out of a CD-ROM drive", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeDevices,
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		return insert(doc, args[0], "")
	})
}

func insert(doc *config.Document, name, iso string) error {
	d, err := doc.FindDevice(name)
	if err != nil {
		return err
	}
	if d.Handler != config.CDROM {
		return codeError{fmt.Errorf("device %s is no CD-ROM drive (vcdrom) but %s", name, d.Handler), exitInvalid}
	}
	d.Path = iso
	return nil
}

func (a *app) deviceDelete() *cobra.Command {
	var unmap bool
	c := &cobra.Command{
		Use:   "delete DEVICE...",
		Short: "Delete devices",
		Long: `Delete devices. A device that LUNs or a namespace lead to is not deleted; unmap them
first, or with --unmap. The file of a device stays, unless the plan asks to have it named
with --destroy and it is.`,
		Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeDevices,
	}
	c.Flags().BoolVar(&unmap, "unmap", false, "also remove the LUNs or the namespace that lead to it")
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, name := range args {
			if luns := doc.LUNsOf(name); len(luns) > 0 && !unmap {
				return codeError{fmt.Errorf("device %s is in use: %s; unmap it first, or use --unmap", name, strings.Join(luns, ", ")), exitConflict}
			}
			if ns, ok := doc.NVMe.NamespaceOf(name); ok && !unmap {
				return codeError{fmt.Errorf("device %s is in use: %s; delete that first, or use --unmap", name, ns), exitConflict}
			}
			if err := doc.RemoveDevice(name, unmap); err != nil {
				return err
			}
		}
		return nil
	})
}

func sizeText(s config.Size) string {
	if s == 0 {
		return ""
	}
	return s.String()
}

func numberText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

var errNothing = errors.New("nothing to change was given; see --help")
