package upgrade

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/internal/slot"
)

// maxMenu bounds what is read of a configuration of GRUB.
const maxMenu = 1 << 20

// menuFile is GRUB's configuration on ESOS_BOOT.
func (o *opened) menuFile() string { return filepath.Join(o.boot.Path(), "grub", grub.MenuFile) }

// menus are the configurations that came with the slots, as far as there are
// any.
func (m *Machine) menus(o *opened) [][]byte {
	var all [][]byte
	for _, name := range []slot.Name{m.Running(), m.Other()} {
		if text, err := readSmall(o.file(name, grub.MenuFile), maxMenu); err == nil {
			all = append(all, text)
		}
	}
	return all
}

// updateMenu puts the configuration that comes with a slot in place: its kernel
// may want other arguments. One that is none of those that came with a slot was
// changed by hand, and stays; kept says so. Every configuration boots both slots.
func (m *Machine) updateMenu(o *opened, name slot.Name, known [][]byte) (kept bool, err error) {
	want, err := readSmall(o.file(name, grub.MenuFile), maxMenu)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	have, err := readSmall(o.menuFile(), maxMenu)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	if bytes.Equal(have, want) {
		return false, nil
	}
	ours := err != nil // it is not there
	for _, k := range known {
		ours = ours || bytes.Equal(k, have)
	}
	if !ours {
		return true, nil
	}
	// Not renameio: FAT refuses its chmod.
	w, err := create(o.menuFile(), int64(len(want)))
	if err == nil {
		_, err = w.Write(want)
		err = errors.Join(err, w.Close())
	}
	if err == nil {
		err = host.SyncDir(filepath.Dir(o.menuFile()))
	}
	if err != nil {
		return false, fmt.Errorf("write GRUB's configuration: %w", err)
	}
	return false, nil
}
