package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) image() *cobra.Command {
	c := &cobra.Command{
		Use: "image", Aliases: []string{"images", "iso"}, Short: "Image files of disks, and ISO files",
		Long: `Image files and ISO files on the mounted file systems (/mnt/vdisks/NAME) and in the data
directory. 'esos device create' and 'esos device insert' take their paths.`,
		Example: "  esos image upload debian.iso store\n  esos device insert cd /mnt/vdisks/store/iso/debian.iso\n  esos image copy /mnt/vdisks/store/golden.img /mnt/vdisks/store/new.img",
	}
	c.AddCommand(a.imageList(), a.imageCopy(), a.imageUpload(), a.imageDelete())
	return c
}

func (a *app) imageList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the image files and ISO files", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := c.Images(ctx)
			if err != nil {
				return err
			}
			for _, p := range all.Problems {
				fmt.Fprintf(a.err, "warning: %s\n", clean(p))
			}
			return a.print(all.Images, func(t *table) {
				t.head("path", "kind", "size", "takes", "used by")
				for _, f := range all.Images {
					t.row(f.Path, f.Kind, config.Size(f.Size).Human(), config.Size(f.Allocated).Human(), strings.Join(f.UsedBy, ", "))
				}
			})
		}),
	}
}

func (a *app) imageCopy() *cobra.Command {
	return &cobra.Command{
		Use: "copy FROM TO", Short: "Copy an image file", Args: cobra.ExactArgs(2),
		Long: `Copy an image file. On xfs and btrfs the copy shares the blocks of the original, and takes
no time and no space; otherwise holes are kept. A file that initiators write to is only
copied by shared blocks. There must be no file TO yet.`,
		Example: "  esos image copy /mnt/vdisks/store/golden.img /mnt/vdisks/store/new.img",
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.CopyImage(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			return a.follow(ctx, c, op)
		}),
	}
}

func (a *app) imageUpload() *cobra.Command {
	var name, sum string
	c := &cobra.Command{
		Use: "upload FILE FILESYSTEM", Short: "Send an image file or ISO file to the array", Args: cobra.ExactArgs(2),
		Long: `Send a file of this machine to a mounted file system of the array (- is the data
directory). ISO files are put into its directory iso. The SHA-256 of what arrived is
shown; with --sha256 nothing is kept that has another one.`,
		Example: "  esos image upload debian.iso store\n  esos image upload disk.img store --name golden.img",
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("send a file: %w", err)
			}
			defer f.Close()
			st, err := f.Stat()
			if err != nil {
				return fmt.Errorf("send a file: %w", err)
			}
			if !st.Mode().IsRegular() {
				return usageError{fmt.Errorf("%s is not a file", args[0])}
			}
			if name == "" {
				name = filepath.Base(args[0])
			}
			got, err := c.UploadImage(ctx, args[1], name, &watched{r: f, of: st.Size(), w: a.err, quiet: !a.terminal()}, st.Size(), sum)
			if err != nil {
				return err
			}
			return a.print(got, func(t *table) {
				t.pair("Path", got.Path)
				t.pair("Size", config.Size(got.Size).Human())
				t.pair("SHA-256", got.SHA256)
			})
		}),
	}
	c.Flags().StringVar(&name, "name", "", "what it is called there (default: as here)")
	c.Flags().StringVar(&sum, "sha256", "", "SHA-256 that must arrive, in `hex`")
	return c
}

// watched tells how much of a file was read.
type watched struct {
	r        io.Reader
	w        io.Writer
	quiet    bool
	done, of int64
	told     time.Time
}

func (p *watched) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.done += int64(n)
	if now := time.Now(); !p.quiet && (now.Sub(p.told) > time.Second || err != nil && !p.told.IsZero()) {
		p.told = now
		fmt.Fprintf(p.w, "\r%s of %s", config.Size(p.done).Human(), config.Size(p.of).Human())
		if err != nil {
			fmt.Fprintln(p.w)
		}
	}
	return n, err
}

func (a *app) imageDelete() *cobra.Command {
	var destroy []string
	c := &cobra.Command{
		Use: "delete PATH...", Short: "Delete image files and ISO files that no device uses", Args: cobra.MinimumNArgs(1),
		Long:    "Delete image files and ISO files that no device uses. Each must be named with --destroy\nimage/FILESYSTEM/PATH; at a terminal it is asked for.",
		Example: "  esos image delete /mnt/vdisks/store/iso/old.iso --destroy image/store/iso/old.iso",
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			for _, p := range args {
				if err := a.deleteNamed(destroy, func(destroy []string) error { return c.DeleteImage(ctx, p, destroy) }); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	c.Flags().StringSliceVar(&destroy, "destroy", nil, "`object` that may be destroyed: image/FILESYSTEM/PATH (more than once, or with commas)")
	return c
}
