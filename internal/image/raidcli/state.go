package raidcli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// State is a program that is known, and whether a root has it.
type State struct {
	Tool
	Installed bool
	Size      int64 // of the program, in bytes
}

// List returns what is known, with what a root has of it.
func List(root string) ([]State, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("look for RAID programs: %w", err)
	}
	defer r.Close()
	var list []State
	for _, t := range Known() {
		s := State{Tool: t}
		st, err := r.Stat(t.program())
		switch {
		case err == nil:
			s.Installed, s.Size = st.Mode().IsRegular(), st.Size()
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("look for %s: %w", t.Name, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// Remove takes a program out of a root again, with its libraries and command.
// One that is not there is an error that errors.Is fs.ErrNotExist.
func Remove(root, name string) error {
	t, err := Find(name)
	if err != nil {
		return err
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return fmt.Errorf("take out %s: %w", t.Name, err)
	}
	defer r.Close()
	if _, err := r.Lstat(t.program()); err != nil {
		return fmt.Errorf("take out %s: %w", t.Name, err)
	}
	// The command goes first: without the program it would fail strangely.
	// Whatever else lies in the directory, such as the program's own logs,
	// stays.
	err = remove(r, path.Join(binDir, t.Name))
	if err == nil {
		err = removeOldLibraries(r, t, choice{})
	}
	if err == nil {
		err = remove(r, t.program())
	}
	if err == nil {
		err = syncDir(r, t.Dir)
	}
	if err != nil {
		return fmt.Errorf("take out %s: %w", t.Name, err)
	}
	return nil
}
