package library

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
)

// newLibrary makes one with a data directory and a file system "store"; a
// directory "unmounted" is beside it.
func newLibrary(t *testing.T) (Library, string, string) {
	t.Helper()
	mounts, data := t.TempDir(), t.TempDir()
	store := filepath.Join(mounts, "store")
	for _, dir := range []string{store, filepath.Join(mounts, "unmounted"), filepath.Join(data, "devices"), filepath.Join(data, "revisions")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return Library{MountDir: mounts, DataDir: data, Mounted: func(dir string) (bool, error) { return dir == store, nil }}, store, data
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func noDevices() *config.Document { return &config.Document{} }

// left lists the files below directories.
func left(t *testing.T, dirs ...string) (all []string) {
	t.Helper()
	for _, dir := range dirs {
		if err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				all = append(all, strings.TrimPrefix(p, dir+"/"))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestList(t *testing.T) {
	l, store, data := newLibrary(t)
	write(t, filepath.Join(store, "iso/debian.iso"), []byte("iso"))
	write(t, filepath.Join(store, "db.img"), []byte("image"))
	write(t, filepath.Join(store, "odd"), []byte("used"))
	write(t, filepath.Join(store, "notes.txt"), []byte("none of ours"))
	write(t, filepath.Join(store, ".snapshots/db.img.x-20261128-120000"), []byte("a snapshot"))
	write(t, filepath.Join(data, "devices/a.img"), []byte("a"))
	write(t, filepath.Join(data, "revisions/1.img"), []byte("the array's own"))
	write(t, filepath.Join(l.MountDir, "unmounted/x.img"), []byte("hidden by a mount, later"))
	doc := &config.Document{Devices: []config.Device{
		{Name: "a", Handler: config.FileIO, Path: "devices/a.img"}, {Name: "odd", Handler: config.FileIO, Path: filepath.Join(store, "odd")},
		{Name: "cd", Handler: config.CDROM, Path: filepath.Join(store, "iso/debian.iso")},
	}}
	all, err := l.List(doc)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range all {
		got = append(got, fmt.Sprintf("%s %s %s %d %v", f.FileSystem, filepath.Base(f.Path), f.Kind, f.Size, f.Users))
	}
	want := []string{"- a.img image 1 [device/a]", "store db.img image 5 []", "store debian.iso iso 3 [device/cd]", "store odd image 4 [device/odd]"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A copy is the same, keeps holes, and tells how far it is.
func TestCopy(t *testing.T) {
	l, store, _ := newLibrary(t)
	source := filepath.Join(store, "a.img")
	f, err := os.Create(source)
	if err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 9<<20)
	rand.Read(part)
	for _, at := range []int64{0, 64 << 20} {
		if _, err := f.WriteAt(part, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Truncate(100<<20), f.Close()); err != nil {
		t.Fatal(err)
	}
	var told []int64
	to := filepath.Join(store, "copies/b.img")
	if err := l.Copy(t.Context(), noDevices, source, to, func(done, of int64) {
		if of != 100<<20 {
			t.Errorf("of %d", of)
		}
		told = append(told, done)
	}); err != nil {
		t.Fatal(err)
	}
	want, _ := os.ReadFile(source)
	got, _ := os.ReadFile(to)
	if !bytes.Equal(want, got) {
		t.Error("the copy differs")
	}
	st, err := l.Files.Stat(to)
	if err != nil || st.Allocated > 40<<20 {
		t.Errorf("the copy takes %d bytes: its holes were filled; %v", st.Allocated, err)
	}
	if !slices.IsSorted(told) {
		t.Errorf("progress: %v", told)
	}
	if err := l.Copy(t.Context(), noDevices, source, to, nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("a copy over a file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	shared := l.Copy(ctx, noDevices, source, filepath.Join(store, "c.img"), nil)
	if _, err := os.Stat(filepath.Join(store, "c.img")); (shared == nil) != (err == nil) {
		t.Errorf("a copy that was ended: %v, and the file: %v", shared, err)
	}
}

func TestCopyRefused(t *testing.T) {
	l, store, data := newLibrary(t)
	outside := filepath.Join(t.TempDir(), "secret")
	write(t, outside, []byte("secret"))
	write(t, filepath.Join(store, "a.img"), []byte("a"))
	write(t, filepath.Join(data, "revisions/1.yaml"), []byte("secret"))
	for link, to := range map[string]string{"link.img": outside, "dir": filepath.Dir(outside)} {
		if err := os.Symlink(to, filepath.Join(store, link)); err != nil {
			t.Fatal(err)
		}
	}
	served := func() *config.Document {
		return &config.Document{Devices: []config.Device{{Name: "a", Handler: config.FileIO, Path: filepath.Join(store, "a.img")}}}
	}
	asked := 0
	servedLater := func() *config.Document {
		if asked++; asked > 1 {
			return served()
		}
		return noDevices()
	}
	for name, tt := range map[string]struct {
		from, to, want string
		doc            func() *config.Document
	}{
		"of a file elsewhere":  {from: outside, want: "is neither on a mounted file system"},
		"by dots":              {from: filepath.Join(store, "../../secret"), want: "is neither on a mounted file system"},
		"not mounted":          {from: filepath.Join(store, "a.img"), to: filepath.Join(l.MountDir, "unmounted/b.img"), want: "is neither on a mounted file system"},
		"by a link":            {from: filepath.Join(store, "link.img"), want: "link.img"},
		"by a link on the way": {from: filepath.Join(store, "dir/secret"), want: "escapes"},
		"to a link on the way": {from: filepath.Join(store, "a.img"), to: filepath.Join(store, "dir/b.img"), want: "escapes"},
		"the array's state":    {from: "revisions/1.yaml", want: "keeps its own state"},
		"into its state":       {from: filepath.Join(store, "a.img"), to: "revisions/2.yaml", want: "keeps its own state"},
		"among snapshots":      {from: filepath.Join(store, "a.img"), to: filepath.Join(store, ".snapshots/x"), want: "begin with a dot"},
		"gone":                 {from: filepath.Join(store, "gone.img"), want: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.to == "" {
				tt.to = filepath.Join(store, "new.img")
			}
			if tt.doc == nil {
				tt.doc = noDevices
			}
			before := left(t, l.MountDir, data, filepath.Dir(outside))
			err := l.Copy(t.Context(), tt.doc, tt.from, tt.to, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if after := left(t, l.MountDir, data, filepath.Dir(outside)); !slices.Equal(before, after) {
				t.Errorf("there was %v, and is %v", before, after)
			}
		})
	}
	// Here blocks cannot be shared, or they can: then a served file is copied.
	for name, doc := range map[string]func() *config.Document{"served": served, "served since": servedLater} {
		err := l.Copy(t.Context(), doc, filepath.Join(store, "a.img"), filepath.Join(store, name+".img"), nil)
		if _, there := os.Stat(filepath.Join(store, name+".img")); (err == nil) != (there == nil) || err != nil && !strings.Contains(err.Error(), "device a serves") {
			t.Errorf("%s: %v; the file: %v", name, err, there)
		}
	}
	// Whoever serves holds the file's lock.
	f, err := host.OpenImage(filepath.Join(store, "a.img"), host.Access{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = l.Copy(t.Context(), noDevices, filepath.Join(store, "a.img"), filepath.Join(store, "locked.img"), nil)
	if kind, _ := l.Files.FileSystem(store); err == nil && kind != "xfs" && kind != "btrfs" {
		t.Error("a file that a process serves was copied")
	}
}

func TestReceive(t *testing.T) {
	l, store, data := newLibrary(t)
	text := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	digest := sha256.Sum256(text)
	sum := hex.EncodeToString(digest[:])
	got, err := l.Receive(t.Context(), "store", "debian.iso", bytes.NewReader(text), int64(len(text)), strings.ToUpper(sum))
	if err != nil || got != (Received{filepath.Join(store, "iso/debian.iso"), sum, int64(len(text))}) {
		t.Fatalf("%+v %v", got, err)
	}
	if back, err := os.ReadFile(got.Path); err != nil || !bytes.Equal(back, text) {
		t.Errorf("what is there differs: %v", err)
	}
	if got, err := l.Receive(t.Context(), DataName, "a.raw", bytes.NewReader(text), -1, ""); err != nil || got.Path != filepath.Join(data, "devices/a.raw") {
		t.Errorf("%+v %v", got, err)
	}
	before := left(t, l.MountDir, data)
	for name, tt := range map[string]struct {
		fs, file, sum, want string
		length              int64
		r                   io.Reader
	}{
		"a slash":           {file: "../x.img", want: "is no name of a file"},
		"hidden":            {file: ".x.img", want: "is no name of a file"},
		"not an image":      {file: "x.sh", want: "ends in .iso"},
		"there already":     {file: "debian.iso", want: "already exists; delete it first"},
		"no file system":    {fs: "unmounted", file: "x.img", want: `file system "unmounted": not found`},
		"another file":      {file: "x.img", sum: strings.Repeat("0", 64), want: "SHA-256 is " + sum},
		"too long":          {file: "x.img", length: 1 << 60, want: "there is room for"},
		"cut off":           {file: "x.img", r: io.MultiReader(bytes.NewReader(text), broken{}), want: "connection reset"},
		"longer than there": {file: "x.img", want: "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			fs, r, lib := tt.fs, tt.r, l
			if fs == "" {
				fs = "store"
			}
			if r == nil {
				r = bytes.NewReader(text)
			}
			if name == "longer than there" {
				if _, _, err := lib.Files.Receive(t.Context(), store, "x.img", r, host.ReceiveOptions{Most: 1 << 20}); !errors.Is(err, host.ErrTooLarge) {
					t.Errorf("%v", err)
				}
			} else if _, err := lib.Receive(t.Context(), fs, tt.file, r, tt.length, tt.sum); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if after := left(t, l.MountDir, data); !slices.Equal(before, after) {
				t.Errorf("there was %v, and is %v", before, after)
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestDelete(t *testing.T) {
	l, store, _ := newLibrary(t)
	path := filepath.Join(store, "iso/a.iso")
	write(t, path, []byte("iso"))
	write(t, filepath.Join(store, ".snapshots/a"), []byte("snapshot"))
	doc := &config.Document{Devices: []config.Device{{Name: "cd", Handler: config.CDROM, Path: path}}}
	if _, err := l.Deleting(doc, path); err == nil || !strings.Contains(err.Error(), "is used by device/cd") {
		t.Error(err)
	}
	if _, err := l.Deleting(noDevices(), filepath.Join(store, ".snapshots/a")); err == nil || !strings.Contains(err.Error(), "esos snapshot delete") {
		t.Error(err)
	}
	d, err := l.Deleting(noDevices(), path)
	if err != nil || d.Object != "image/store/iso/a.iso" {
		t.Fatalf("%+v %v", d, err)
	}
	f, err := host.OpenImage(path, host.Access{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Delete(d); err == nil || !strings.Contains(err.Error(), "it is being served") {
		t.Errorf("delete of a file that a process serves: %v", err)
	}
	f.Close()
	if err := l.Delete(d); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Deleting(noDevices(), path); !errors.Is(err, config.ErrNotFound) {
		t.Error(err)
	}
}
