package imitation_test

import (
	"errors"
	"path"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host/kernfs/imitation"
)

// shelf is a kernel whose objects are boxes on a shelf, each with a lid of its
// own, and labels that lead to boxes.
func shelf() imitation.Configfs {
	o := imitation.NewObjects([]string{"absent"})
	o.Dir("boxes")
	o.Dir("labels")
	return imitation.NewConfigfs(o, imitation.Rules{
		Make: func(p string) error {
			if path.Dir(p) != "boxes" {
				return unix.EPERM
			}
			o.Dir(p + "/lid")
			o.File(p+"/colour", "red", 'b', nil)
			o.File(p+"/size", "1", 'r', nil)
			o.File(p+"/pin", "", 'w', func(text string) error {
				if text != "1234" {
					return unix.EINVAL
				}
				return nil
			})
			o.File(p+"/absent", "", 'b', nil)
			return nil
		},
		Removed: func(string) {},
		Relate: func(target, p string) error {
			o.Link(p, target)
			return nil
		},
		Secret: func(p string) bool { return path.Base(p) == "pin" },
	})
}

// TestConfigfs: what configfs refuses by itself, and what it counts.
func TestConfigfs(t *testing.T) {
	k := shelf()
	read := func(p string) error { _, err := k.ReadFile(p); return err }
	for i, c := range []struct {
		got, want error
	}{
		{k.Mkdir("none/a"), unix.ENOENT},
		{k.Mkdir("labels/a"), unix.EPERM},
		{k.Mkdir("boxes/a"), nil},
		{k.Mkdir("boxes/a"), unix.EEXIST},
		{k.Mkdir("boxes/a/colour/b"), unix.ENOTDIR},
		{k.WriteFile("boxes/a/colour", "blue"), nil},
		{k.WriteFile("boxes/a/colour", ""), nil},
		{k.WriteFile("boxes/a/colour", string(make([]byte, 4096))), unix.EINVAL},
		{k.WriteFile("boxes/a/size", "2"), unix.EACCES},
		{k.WriteFile("boxes/a/pin", "0000"), unix.EINVAL},
		{k.WriteFile("boxes/a/pin", "1234"), nil},
		{k.WriteFile("boxes/a/absent", "1"), unix.ENOENT},
		{k.WriteFile("boxes/a/lid", "1"), unix.EISDIR},
		{read("boxes/a/pin"), unix.EACCES},
		{read("boxes/a/lid"), unix.EISDIR},
		{k.Symlink("boxes/b", "labels/l"), unix.ENOENT},
		{k.Symlink("boxes/a", "labels/l"), nil},
		{k.Symlink("boxes/a", "labels/l"), unix.EEXIST},
		{k.Rmdir("boxes/a"), unix.EBUSY},
		{k.Rmdir("boxes/a/lid"), unix.EPERM},
		{k.Rmdir("labels"), unix.EPERM},
		{k.Rmdir("boxes/a/colour"), unix.ENOTDIR},
		{k.Remove("boxes/a/colour"), unix.EPERM},
		{k.Remove("labels/l"), nil},
		{k.Rmdir("boxes/a"), nil},
		{k.Rmdir("boxes/a"), unix.ENOENT},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("request %d: %v, want %v", i, c.got, c.want)
		}
	}
	want := []string{
		"mkdir boxes/a", "write boxes/a/colour blue", "write boxes/a/pin (secret)", "symlink labels/l -> boxes/a", "unlink labels/l", "rmdir boxes/a",
	}
	if got := k.Requests(); !slices.Equal(got, want) {
		t.Errorf("requests %q, want %q", got, want)
	}
	if got, want := k.Dump(), shelf().Dump(); got != want {
		t.Errorf("left:\n%s\nwant:\n%s", got, want)
	}
}

// TestFail: requests fail when they should, and change nothing then.
func TestFail(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(k imitation.Configfs)
		want []error
	}{
		{"never", func(imitation.Configfs) {}, []error{nil, nil, nil}},
		{"after one", func(k imitation.Configfs) { k.FailAfter(1) }, []error{nil, unix.EIO, unix.EIO}},
		{"the second one", func(k imitation.Configfs) { k.FailOnce(1) }, []error{nil, unix.EIO, nil}},
		{"no more", func(k imitation.Configfs) { k.FailAfter(0); k.FailAfter(-1) }, []error{nil, nil, nil}},
	} {
		k := shelf()
		c.fail(k)
		for i, name := range []string{"a", "b", "c"} {
			p := "boxes/" + name
			if err := k.Mkdir(p); !errors.Is(err, c.want[i]) {
				t.Errorf("%s: request %d: %v, want %v", c.name, i, err, c.want[i])
			}
			if names, err := k.ReadDir(p); (err == nil) != (c.want[i] == nil) {
				t.Errorf("%s: request %d left %q, %v", c.name, i, names, err)
			}
		}
	}
}
