package filesystems

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// uploadImage asks for a file of the machine that the console runs on, to be
// put into the library; on is the file system that is proposed.
func uploadImage(d *frame.Desk, on string) {
	look(d, func(s seen) {
		u := &upload{desk: d, on: on}
		options := s.targets()
		if u.on == "" {
			u.on = first(options)
		}
		f := &frame.Form{Title: "Upload image or ISO file", Command: "esos image upload FILE FILESYSTEM", Submit: "Upload",
			Help: "The file is read where this console runs: on the array itself when you are logged in to it, so that a USB stick that is mounted there will do. ISO files are put into the directory iso of the file system."}
		f.Fields = []frame.Field{
			{Label: "File", Text: &u.file, Check: u.checkFile, Changed: u.named, Hint: "its path on this machine, such as /media/usb/debian.iso"},
			{Label: "To file system", One: &u.on, Options: options, Columns: choiceColumns(), Hint: "Where it is put.", Check: func(on string) error {
				if on == "" {
					return frame.Needed(on)
				}
				if st, err := os.Stat(u.file); err == nil {
					return spaceFor(s, on, st.Size())
				}
				return nil
			}},
			{Label: "Name there", Text: &u.name, Check: libraryName, Hint: "ends in .iso, .img, .raw, .bin, .vhd, .vmdk or .qcow2"},
			{Label: "SHA-256", Text: &u.sum, Check: frame.Optional(checkSum), Hint: "If it is known: nothing is kept that has another one. Nothing typed takes the file as it is."},
		}
		f.Do = func() { u.send(f) }
		d.Form(f)
	})
}

// upload is a form for a file to be sent.
type upload struct {
	desk                          *frame.Desk
	file, on, name, sum, proposed string
}

func (u *upload) named() {
	if u.name == u.proposed {
		u.proposed = filepath.Base(u.file)
		if u.file == "" || strings.HasSuffix(u.file, "/") {
			u.proposed = ""
		}
		u.name = u.proposed
	}
}

func (u *upload) checkFile(s string) error {
	if s == "" {
		return fmt.Errorf("the path of a file is needed")
	}
	st, err := os.Stat(s)
	switch {
	case err != nil:
		return fmt.Errorf("there is no file %s that could be read", s)
	case !st.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", s)
	}
	return nil
}

func libraryName(s string) error {
	if err := fileName(s); err != nil {
		return err
	}
	if !slices.Contains([]string{".iso", ".img", ".raw", ".bin", ".vhd", ".vmdk", ".qcow2"}, strings.ToLower(filepath.Ext(s))) {
		return fmt.Errorf("the name ends in .iso, .img, .raw, .bin, .vhd, .vmdk or .qcow2, so that the library knows it")
	}
	return nil
}

var sha256Hex = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

func checkSum(s string) error {
	if !sha256Hex.MatchString(s) {
		return fmt.Errorf("64 hexadecimal digits, as sha256sum prints them")
	}
	return nil
}

// send sends the file, and shows how far it is.
func (u *upload) send(form *frame.Form) {
	f, err := os.Open(u.file)
	if err != nil {
		u.desk.Fail("Upload", err)
		return
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close() // it was only read
		u.desk.Fail("Upload", err)
		return
	}
	d := u.desk
	ctx, cancel := context.WithCancel(d.Context())
	p := &frame.Page{Title: "Upload " + u.name, Command: "esos image upload " + u.file + " " + u.on + " --name " + u.name, Gone: cancel,
		Help: "Leaving this screen before it has ended stops the upload, and nothing is kept of it."}
	from := &counted{r: f, told: func(done int64) {
		d.Update(func() {
			p.Text = fmt.Sprintf("%s of %s were sent.\n\nEsc stops it.", pick.Size(done), pick.Size(st.Size()))
		})
	}}
	p.Text = "Sending " + pick.Size(st.Size()) + " ..."
	d.Page(p)
	on, name, sum := u.on, u.name, u.sum
	go func() {
		got, err := d.Client().UploadImage(ctx, on, name, from, st.Size(), sum)
		_ = f.Close() // it was only read
		d.Update(func() { uploaded(d, form, p, got, err) })
	}()
}

// uploaded says what came of it.
func uploaded(d *frame.Desk, form *frame.Form, p *frame.Page, got v1.ImageReceived, err error) {
	switch {
	case err != nil && !d.Shows(p):
		d.Toast(frame.Warn, "The upload was stopped; nothing is kept of it.")
	case err != nil:
		d.Close(p)
		d.Fail(p.Title, err)
	default:
		t := pairs{}
		t.add("path", got.Path)
		t.add("size", pick.Size(got.Size))
		t.add("SHA-256", got.SHA256)
		p.Text = "Done. It is in the library:\n\n" + t.text()
		d.Toast(frame.Good, "Done: "+got.Path+" is there.")
		if d.Shows(p) && d.Shows(form) {
			d.Close(form)
			d.Page(p)
		}
	}
}

// counted tells how much was read, now and then.
type counted struct {
	r    io.Reader
	done int64
	last time.Time
	told func(int64)
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.done += int64(n)
	if now := time.Now(); now.Sub(c.last) > time.Second/2 {
		c.last = now
		c.told(c.done)
	}
	return n, err
}

// spaceFor says whether a file fits on a file system.
func spaceFor(s seen, on string, size int64) error {
	if f, ok := s.find(on); ok && size > f.Free {
		return fmt.Errorf("it has %s, and %s are free on %s", pick.Size(size), pick.Size(f.Free), on)
	}
	return nil
}
