package raidcli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Installed says what was put in.
type Installed struct {
	Tool      Tool
	From      string   // where in the vendor's file it was
	Path      string   // of the program, absolute in the root
	Command   string   // what is on the path, absolute in the root
	Libraries []string // names of those that came with it
	Missing   []string // names of libraries that neither came nor are in the root
}

// Install finds a vendor's program in the file that the vendor ships it in,
// and puts it into root below /opt, with the libraries that come with it and a
// command of its name. A program that is there already is replaced.
func Install(ctx context.Context, root, name, file string) (Installed, error) {
	t, err := Find(name)
	if err != nil {
		return Installed{}, err
	}
	done, err := install(ctx, root, t, file)
	if err != nil {
		return Installed{}, fmt.Errorf("put in %s from %s: %w", t.Name, file, err)
	}
	return done, nil
}

func install(ctx context.Context, root string, t Tool, file string) (Installed, error) {
	f, err := os.Open(file)
	if err != nil {
		return Installed{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Installed{}, err
	}
	if !st.Mode().IsRegular() {
		return Installed{}, errors.New("it is not a file")
	}
	dir, err := os.MkdirTemp("", "raid-cli-")
	if err != nil {
		return Installed{}, err
	}
	defer os.RemoveAll(dir)

	base := filepath.Base(file)
	u := newUnpacker(dir, t.files)
	defer u.close()
	if err := u.open(ctx, base, base, f, 0); err != nil {
		return Installed{}, err
	}
	// Who gives the bare program may have given it any name.
	if bare := u.trees[len(u.trees)-1]; bare.files[base] != nil && !slices.Contains(t.files, base) {
		bare.files[t.Name] = bare.files[base]
		delete(bare.files, base)
	}
	c, err := choose(t, u.trees)
	if err != nil {
		return Installed{}, fmt.Errorf("it has %w", err)
	}
	return put(root, t, c)
}

// put writes the choice into the root.
func put(root string, t Tool, c choice) (done Installed, err error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return done, err
	}
	defer r.Close()
	done = Installed{Tool: t, From: c.where, Path: "/" + t.program(), Command: "/" + path.Join(binDir, t.Name)}
	for _, dir := range []string{t.Dir, binDir} {
		if err := r.MkdirAll(dir, 0o755); err != nil {
			return done, err
		}
	}
	if err := removeOldLibraries(r, t, c); err != nil {
		return done, err
	}
	for name, f := range c.library {
		if err := writeFile(r, path.Join(t.Dir, name), 0o755, whole(f)); err != nil {
			return done, err
		}
		done.Libraries = append(done.Libraries, name)
	}
	for name, target := range c.links {
		if err := writeLink(r, path.Join(t.Dir, name), target); err != nil {
			return done, err
		}
	}
	if err := writeFile(r, t.program(), 0o755, whole(c.file)); err != nil {
		return done, err
	}
	if err := writeCommand(r, t, len(c.library) > 0); err != nil {
		return done, err
	}
	if err := prepare(r, t); err != nil {
		return done, err
	}
	slices.Sort(done.Libraries)
	done.Missing = missing(r, c)
	return done, nil
}

// whole reads a file from its beginning.
func whole(f *os.File) io.Reader { return io.NewSectionReader(f, 0, maxFile) }

// writeCommand writes what is called: a link to the program, or a script that
// shows it its libraries.
func writeCommand(r *os.Root, t Tool, libraries bool) error {
	name := path.Join(binDir, t.Name)
	if !libraries {
		return writeLink(r, name, "/"+t.program())
	}
	script := fmt.Sprintf("#!/bin/sh\nLD_LIBRARY_PATH=/%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\nexport LD_LIBRARY_PATH\nexec /%s \"$@\"\n",
		t.Dir, t.program())
	return writeFile(r, name, 0o755, strings.NewReader(script))
}

// Prepare makes, in an image's root, the links by which shells and services
// find the programs that are put in later, while the appliance runs: /opt is
// saved then, the directories of the usual path are not.
func Prepare(root string) error {
	r, err := os.OpenRoot(root)
	if err != nil {
		return fmt.Errorf("prepare for RAID programs: %w", err)
	}
	defer r.Close()
	for _, t := range Known() {
		if err := prepare(r, t); err != nil {
			return fmt.Errorf("prepare for RAID programs: %w", err)
		}
	}
	return nil
}

func prepare(r *os.Root, t Tool) error {
	name, target := path.Join(linkDir, t.Name), "/"+path.Join(binDir, t.Name)
	if have, err := r.Readlink(name); err == nil && have == target {
		return nil
	}
	if err := r.MkdirAll(linkDir, 0o755); err != nil {
		return err
	}
	return writeLink(r, name, target)
}

// removeOldLibraries removes what an older version brought and this does not.
func removeOldLibraries(r *os.Root, t Tool, c choice) error {
	entries, err := fs.ReadDir(r.FS(), t.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !isLibrary(name) || c.library[name] != nil || c.links[name] != "" {
			continue
		}
		if err := r.Remove(path.Join(t.Dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// missing lists the libraries that the program will not find in the root.
func missing(r *os.Root, c choice) []string {
	needed := slices.Clone(c.object.needed)
	for _, f := range c.library {
		if o, err := readELF(f); err == nil {
			needed = append(needed, o.needed...)
		}
	}
	if c.object.interp != "" {
		needed = append(needed, path.Base(c.object.interp))
	}
	slices.Sort(needed)
	var gone []string
	for _, n := range slices.Compact(needed) {
		if c.library[n] == nil && c.links[n] == "" && !inRoot(r, n) {
			gone = append(gone, n)
		}
	}
	return gone
}

// inRoot reports whether the root has a library. Its directories are Debian's;
// /lib and /lib64 are links into /usr, so that these are enough.
func inRoot(r *os.Root, name string) bool {
	for _, dir := range []string{"usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib"} {
		// The file may be a link with an absolute target: its name is enough.
		if _, err := r.Lstat(path.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}
