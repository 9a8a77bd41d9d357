package imitation

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Configfs takes requests as configfs does, where objects are made and removed
// by mkdir and rmdir. Its methods are kernfs.Tree's.
type Configfs struct {
	Lab
	objects *Objects
	rules   Rules
}

// Rules are what a kernel's modules have configfs do. Who calls them holds the
// lock of the objects.
type Rules struct {
	// Make fills a directory that was just asked for; an error refuses it.
	Make func(p string) error
	// Removed is what else goes with a directory that is about to go.
	Removed func(p string)
	// Relate makes a link, or refuses it.
	Relate func(target, p string) error
	// Secret says whether what is written to a file is left out of Requests.
	Secret func(p string) bool
}

// NewConfigfs lets o be asked by the rules of a kernel.
func NewConfigfs(o *Objects, r Rules) Configfs { return Configfs{NewLab(o), o, r} }

// Mkdir makes an object, if there are objects of its kind there.
func (c Configfs) Mkdir(p string) error {
	c.objects.Lock()
	defer c.objects.Unlock()
	p = path.Clean(p)
	parent := c.objects.At(path.Dir(p))
	switch {
	case parent == nil:
		return Refusal("mkdir", p, unix.ENOENT)
	case !parent.Dir:
		return Refusal("mkdir", p, unix.ENOTDIR)
	case c.objects.At(p) != nil:
		return Refusal("mkdir", p, unix.EEXIST)
	}
	if err := c.objects.Take("mkdir", p, ""); err != nil {
		return err
	}
	c.objects.Add(p, &Node{Dir: true})
	if err := c.rules.Make(p); err != nil {
		c.objects.Drop(p)
		return c.objects.Refuse("mkdir", p, err)
	}
	return nil
}

// Rmdir ends an object that nothing is in and nothing leads to.
func (c Configfs) Rmdir(p string) error {
	c.objects.Lock()
	defer c.objects.Unlock()
	p = path.Clean(p)
	n := c.objects.At(p)
	switch {
	case n == nil:
		return Refusal("rmdir", p, unix.ENOENT)
	case !n.Dir:
		return Refusal("rmdir", p, unix.ENOTDIR)
	case n.Fixed:
		return Refusal("rmdir", p, unix.EPERM)
	}
	if err := c.busy(p); err != nil {
		return Refusal("rmdir", p, err)
	}
	if err := c.objects.Take("rmdir", p, ""); err != nil {
		return err
	}
	c.rules.Removed(p)
	c.objects.Drop(p)
	return nil
}

// WriteFile sets a setting.
func (c Configfs) WriteFile(p, text string) error {
	c.objects.Lock()
	defer c.objects.Unlock()
	p = path.Clean(p)
	n := c.objects.At(p)
	switch {
	case n == nil:
		return Refusal("open", p, unix.ENOENT)
	case n.Dir:
		return Refusal("open", p, unix.EISDIR)
	case n.Mode == 'r':
		return Refusal("open", p, unix.EACCES)
	case len(text) >= 4096: // SIMPLE_ATTR_SIZE
		return Refusal("write", p, unix.EINVAL)
	case text == "":
		return nil // write(2) of no bytes is no request
	}
	shown := text
	if c.rules.Secret(p) {
		shown = "(secret)"
	}
	if err := c.objects.Take("write", p, shown); err != nil {
		return err
	}
	if n.Write == nil {
		n.Text = strings.TrimRight(text, "\n")
		return nil
	}
	if err := n.Write(text); err != nil {
		return c.objects.Refuse("write", p, err)
	}
	return nil
}

// ReadFile reads a setting.
func (c Configfs) ReadFile(p string) (string, error) {
	c.objects.Lock()
	defer c.objects.Unlock()
	p = path.Clean(p)
	n := c.objects.At(p)
	switch {
	case n == nil:
		return "", Refusal("open", p, unix.ENOENT)
	case n.Dir:
		return "", Refusal("read", p, unix.EISDIR)
	case n.Mode == 'w':
		return "", Refusal("open", p, unix.EACCES) // what a mode of 0200 comes to
	case n.Unreadable != nil && n.Unreadable() != nil:
		return "", Refusal("read", p, n.Unreadable())
	case n.Read != nil:
		return n.Read(), nil
	}
	return n.Text + "\n", nil
}

// Chmod sets who may read and write a setting.
func (c Configfs) Chmod(p string, mode fs.FileMode) error {
	c.objects.Lock()
	defer c.objects.Unlock()
	n := c.objects.At(p)
	if n == nil {
		return Refusal("chmod", p, unix.ENOENT)
	}
	if n.Perm == mode {
		return nil
	}
	if err := c.objects.Take("chmod", p, fmt.Sprintf("%o", mode)); err != nil {
		return err
	}
	n.Perm = mode
	return nil
}

// Mode is who may read and write a setting.
func (c Configfs) Mode(p string) fs.FileMode {
	c.objects.Lock()
	defer c.objects.Unlock()
	if n := c.objects.At(p); n != nil {
		return n.Perm
	}
	return 0
}

// Symlink relates two objects.
func (c Configfs) Symlink(target, p string) error {
	c.objects.Lock()
	defer c.objects.Unlock()
	target, p = path.Clean(target), path.Clean(p)
	parent := c.objects.At(path.Dir(p))
	switch {
	case parent == nil || c.objects.At(target) == nil:
		return Refusal("symlink", p, unix.ENOENT)
	case !parent.Dir:
		return Refusal("symlink", p, unix.ENOTDIR)
	case c.objects.At(p) != nil:
		return Refusal("symlink", p, unix.EEXIST)
	}
	if err := c.objects.Take("symlink", p, "-> "+target); err != nil {
		return err
	}
	if err := c.rules.Relate(target, p); err != nil {
		return c.objects.Refuse("symlink", p, err)
	}
	return nil
}

// Readlink says where a link leads.
func (c Configfs) Readlink(p string) (string, error) {
	c.objects.Lock()
	defer c.objects.Unlock()
	n := c.objects.At(p)
	switch {
	case n == nil:
		return "", Refusal("readlink", p, unix.ENOENT)
	case n.Link == "":
		return "", Refusal("readlink", p, unix.EINVAL)
	}
	return n.Link, nil
}

// Remove takes a link away.
func (c Configfs) Remove(p string) error {
	c.objects.Lock()
	defer c.objects.Unlock()
	p = path.Clean(p)
	n := c.objects.At(p)
	switch {
	case n == nil:
		return Refusal("unlink", p, unix.ENOENT)
	case n.Link == "":
		return Refusal("unlink", p, unix.EPERM)
	}
	if err := c.objects.Take("unlink", p, ""); err != nil {
		return err
	}
	c.objects.Drop(p)
	if n.Unlink != nil {
		n.Unlink()
	}
	return nil
}

// ReadDir lists an object.
func (c Configfs) ReadDir(p string) ([]string, error) {
	c.objects.Lock()
	defer c.objects.Unlock()
	p = path.Clean(p)
	n := c.objects.At(p)
	switch {
	case n == nil:
		return nil, Refusal("open", p, unix.ENOENT)
	case !n.Dir:
		return nil, Refusal("readdir", p, unix.ENOTDIR)
	}
	return c.objects.Children(p), nil
}

// busy says why a directory cannot be removed: a link leads to it, or something
// that somebody made is in it (configfs_detach_prep). Links to what came along
// with it do not exist.
func (c Configfs) busy(p string) error {
	if c.objects.Leads(p) {
		return unix.EBUSY
	}
	for _, name := range c.objects.Children(p) {
		q := path.Join(p, name)
		switch n := c.objects.At(q); {
		case n.Link != "", n.Dir && !n.Fixed:
			return unix.ENOTEMPTY
		case n.Dir:
			if err := c.busy(q); err != nil {
				return err
			}
		}
	}
	return nil
}
