package devices

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// Add asks for a new device.
func Add(d *frame.Desk) {
	frame.Load(d, "Look for what devices can stand on", func(ctx context.Context) (*ground, error) { return survey(ctx, d) }, func(g *ground) {
		n := &newDevice{ground: g, handler: string(config.FileIO), where: inData, iso: emptyDrive, block: "512"}
		f := &frame.Form{Title: "Add Device", Command: "esos device create DEVICE", Submit: "Add", Fields: n.fields(),
			Help: "A device is what LUNs and NVMe namespaces lead to. Fields that do not go with the handler are not shown."}
		f.Do = func() {
			d.Change(frame.Change{Why: n.command(), From: f, Edit: func(doc *config.Document) error {
				dev, err := n.device()
				if err != nil {
					return err
				}
				return doc.AddDevice(dev)
			}})
		}
		d.Form(f)
	})
}

// ground is what new devices can stand on.
type ground struct {
	doc     *config.Document
	images  []v1.Image
	storage v1.StorageState
}

func survey(ctx context.Context, d *frame.Desk) (*ground, error) {
	doc, err := d.Document(ctx)
	if err != nil {
		return nil, err
	}
	images, err := d.Client().Images(ctx)
	if err != nil {
		return nil, err
	}
	s, err := d.Client().Storage(ctx)
	return &ground{doc, images.Images, s}, err
}

// Where the bytes of a vdisk_fileio are, besides new:DIRECTORY and file:PATH.
const (
	inData  = "data"
	typed   = "typed"
	newIn   = "new:"
	oldFile = "file:"
)

// newDevice is what is asked for.
type newDevice struct {
	*ground
	name, handler, where, path string
	disk, iso, scsi            string
	size, block                string
	thick, through, direct     bool
	readOnly, removable, spins bool
	more                       bool
	identity                   config.Identity
	attributes                 string
}

func (n *newDevice) is(handlers ...config.Handler) func() bool {
	return func() bool {
		for _, h := range handlers {
			if n.handler == string(h) {
				return true
			}
		}
		return false
	}
}

// made says whether a file or memory is made, which needs a size.
func (n *newDevice) made() bool {
	return n.is(config.NullIO, config.Memory)() || n.is(config.FileIO)() && !strings.HasPrefix(n.where, oldFile)
}

func (n *newDevice) vdisk() bool {
	return n.is(config.FileIO, config.BlockIO, config.NullIO, config.Memory)()
}

func (n *newDevice) fields() []frame.Field {
	passed := func() bool { return config.Handler(n.handler).PassThrough() }
	fields := []frame.Field{
		{Label: "Name", Text: &n.name, Check: frame.Name(64, pick.Taken(n.doc.Devices, func(v config.Device) string { return v.Name })),
			Hint: "What it is called here; letters, digits and . _ -, such as db01."},
		{Label: "Handler", One: &n.handler, Options: handlers(n.doc), Columns: []string{"handler", "what for"},
			Hint: "What serves it: an image file (vdisk_fileio) and a block device (vdisk_blockio) are the usual ones."},
		{Label: "Image file", One: &n.where, Options: n.files(), Columns: []string{"file", "size", "on"}, Show: n.is(config.FileIO),
			Hint: "A new file, or one that is there, which is used as it is."},
		{Label: "Block device", One: &n.disk, Options: pick.Blocks(n.storage), Columns: pick.BlockColumns(), Show: n.is(config.BlockIO), Check: frame.Needed,
			Hint: "A volume, an array or a disk, served as it is. What is on it is not touched."},
		{Label: "ISO file", One: &n.iso, Options: n.isos(), Columns: []string{"file", "size"}, Show: n.is(config.CDROM),
			Hint: "What is in the drive; it can be changed while hosts use the drive."},
		{Label: "Path", Text: &n.path, Check: n.checkPath, Show: func() bool {
			return n.is(config.FileIO)() && n.where == typed || n.is(config.CDROM)() && n.iso == typed
		},
			Hint: "Absolute, or below the data directory. A file that is there is used as it is; else one is made."},
		{Label: "SCSI device", One: &n.scsi, Options: n.passable(), Columns: pick.BlockColumns(), Check: frame.Needed, Show: n.is(config.PassDisk, config.PassCDROM),
			Hint: "What commands are passed on to. One that this machine uses itself cannot be chosen."},
		{Label: "SCSI device", Text: &n.path, Check: checkSCSI, Show: func() bool {
			return passed() && (!n.is(config.PassDisk, config.PassCDROM)() || n.scsi == typed)
		}, Hint: "Its HOST:CHANNEL:ID:LUN, such as 3:0:0:0, or a path like /dev/tape/by-id/... (lsscsi -g lists them)."},
		{Label: "Size", Text: &n.size, Check: n.checkSize, Show: n.made, Hint: "Such as 100GiB, 1.5TB or 512MiB."},
		{Label: "All space at once", Yes: &n.thick, Show: func() bool { return n.is(config.FileIO)() && n.made() },
			Hint: "Thick: the space is taken now. Otherwise thin: as it is written, and the file system must not fill up."},
		{Label: "Block size", One: &n.block, Options: frame.Options("512", "4096"), Show: n.vdisk,
			Hint: "What initiators see. 512 goes with everything; 4096 saves work where all hosts can."},
		{Label: "Write-through", Yes: &n.through, Show: n.vdisk, Hint: "Each write is on the disk before it is acknowledged: safe without a battery, slower."},
		{Label: "Around the page cache", Yes: &n.direct, Show: n.is(config.FileIO), Hint: "O_DIRECT: no memory of this machine is used as cache."},
		{Label: "Read-only", Yes: &n.readOnly, Show: n.vdisk, Hint: "Nobody can write to it, through any LUN."},
		{Label: "Removable", Yes: &n.removable, Show: n.vdisk, Hint: "Initiators are told of a removable medium."},
		{Label: "Rotational", Yes: &n.spins, Show: n.vdisk, Hint: "Initiators are told of a spinning disk, not of an SSD."},
		{Label: "Set its identity", Yes: &n.more, Show: func() bool { return !passed() },
			Hint: "Serial number, NAA and T10 identifiers, for one that takes another's place. Made from the array's ID if not."},
	}
	fields = append(fields, identityFields(&n.identity, func() bool { return n.more && !passed() })...)
	return append(fields, pick.AttributesField(n.doc, &n.attributes))
}

// files are what a vdisk_fileio can stand on.
func (n *newDevice) files() []frame.Option {
	o := []frame.Option{{Value: inData, Cells: []string{"a new file, devices/NAME.img", "", "data directory"}}}
	for _, fs := range n.doc.Storage.FileSystems {
		o = append(o, frame.Option{Value: newIn + fs.Path(), Cells: []string{"a new file, " + fs.Path() + "/NAME.img", "", fs.Name}})
	}
	for _, i := range n.images {
		if i.Kind == "image" {
			o = append(o, frame.Option{Value: oldFile + i.Path, Cells: []string{i.Path, pick.Size(i.Size), i.FileSystem}, Why: usedBy(i)})
		}
	}
	return append(o, frame.Option{Value: typed, Cells: []string{"another path, typed below", "", ""}})
}

func usedBy(i v1.Image) string {
	if len(i.UsedBy) == 0 {
		return ""
	}
	return "it is in use by " + strings.Join(i.UsedBy, ", ") + "; two devices on one file destroy its data"
}

const emptyDrive = "(empty)"

// isos are what a CD-ROM drive can have in it. Several drives may share one.
func (g *ground) isos() []frame.Option {
	o := []frame.Option{{Value: emptyDrive, Cells: []string{"nothing: an empty drive", ""}}}
	for _, i := range g.images {
		if i.Kind == "iso" {
			o = append(o, frame.Option{Value: i.Path, Cells: []string{i.Path, pick.Size(i.Size)}})
		}
	}
	return append(o, frame.Option{Value: typed, Cells: []string{"another path, typed below", ""}})
}

// passable are the SCSI disks and drives of this machine.
func (n *newDevice) passable() []frame.Option {
	var o []frame.Option
	for _, k := range n.storage.Disks {
		if k.Address == "" {
			continue
		}
		why := k.Why
		if k.Type == "rom" {
			why = ""
		}
		o = append(o, frame.Option{Value: k.Address, Cells: []string{k.ID, pick.Size(k.Size), k.Type, strings.TrimSpace(k.Vendor + " " + k.Model), k.Holds}, Why: why})
	}
	return append(o, frame.Option{Value: typed, Cells: []string{"another, typed below"}})
}

func (n *newDevice) checkPath(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return fmt.Errorf("a path is needed")
	case strings.HasSuffix(s, "/"):
		return fmt.Errorf("that is a directory: name a file in it")
	}
	for _, have := range n.doc.Devices {
		if path.Clean(have.Path) == path.Clean(s) && have.Handler != config.CDROM && !n.is(config.CDROM)() {
			return fmt.Errorf("device %s stands on it already", have.Name)
		}
	}
	return nil
}

func checkSCSI(s string) error {
	if _, ok := config.ParseHCIL(s); ok || path.IsAbs(s) && !strings.HasSuffix(s, "/") {
		return nil
	}
	return fmt.Errorf("HOST:CHANNEL:ID:LUN, such as 3:0:0:0, or a path such as /dev/sg3")
}

func (n *newDevice) checkSize(s string) error {
	if s == "" && n.is(config.FileIO)() && n.where == typed {
		return nil // of the file that is there
	}
	if err := frame.Size(false)(s); err != nil {
		return err
	}
	return whole(s, n.block)
}

// whole refuses sizes that are no whole number of blocks.
func whole(size, block string) error {
	v, err := config.ParseSize(size)
	if err != nil {
		return err
	}
	if b, err := strconv.Atoi(block); err == nil && b > 0 && int64(v)%int64(b) != 0 {
		return fmt.Errorf("no whole number of blocks of %d bytes", b)
	}
	return nil
}

// device is what was asked for.
func (n *newDevice) device() (config.Device, error) {
	dev := config.Device{Name: n.name, Handler: config.Handler(n.handler)}
	var err error
	if dev.Attributes, err = pick.ParseAttributes(n.attributes); err != nil {
		return dev, err
	}
	if n.more && !dev.Handler.PassThrough() {
		dev.Identity = n.identity
	}
	if n.made() && n.size != "" {
		if dev.Size, err = config.ParseSize(n.size); err != nil {
			return dev, err
		}
	}
	dev.Path = n.stands()
	if n.vdisk() {
		dev.WriteThrough, dev.ReadOnly, dev.Removable, dev.Rotational = n.through, n.readOnly, n.removable, n.spins
		if n.block != "512" {
			dev.BlockSize, _ = strconv.Atoi(n.block) // one of the two options
		}
	}
	if dev.Handler == config.FileIO {
		dev.ODirect = n.direct
		if n.thick && n.made() {
			dev.Provisioning = config.Thick
		}
	}
	return dev, nil
}

// stands is the path of what it stands on, "" if it needs none.
func (n *newDevice) stands() string {
	switch h := config.Handler(n.handler); {
	case h == config.FileIO && strings.HasPrefix(n.where, newIn):
		return strings.TrimPrefix(n.where, newIn) + "/" + n.name + ".img"
	case h == config.FileIO && strings.HasPrefix(n.where, oldFile):
		return strings.TrimPrefix(n.where, oldFile)
	case h == config.FileIO && n.where == typed:
		return n.path
	case h == config.BlockIO:
		return n.disk
	case h == config.CDROM && n.iso == emptyDrive:
		return ""
	case h == config.CDROM && n.iso != typed:
		return n.iso
	case h.PassThrough() && n.scsi != "" && n.scsi != typed && n.is(config.PassDisk, config.PassCDROM)():
		return n.scsi
	case h == config.CDROM, h.PassThrough():
		return n.path
	}
	return ""
}

// command is the one that makes the same device.
func (n *newDevice) command() string {
	dev, err := n.device()
	if err != nil {
		return "esos device create " + n.name
	}
	args := []string{"device", "create", n.name, "--handler", n.handler}
	option := func(set bool, words ...string) {
		if set {
			args = append(args, words...)
		}
	}
	option(dev.Path != "", "--path", dev.Path)
	option(dev.Size != 0, "--size", n.size)
	option(dev.BlockSize != 0, "--block-size", n.block)
	option(dev.Provisioning == config.Thick, "--thick")
	return pick.Command(append(args, settings(dev)...)...)
}
