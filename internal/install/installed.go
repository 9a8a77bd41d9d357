package install

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/internal/medium/iso"
	"github.com/esos-project/esos/internal/slot"
)

// refuseAgain refuses a disk that this very ISO was installed on. An ISO that
// stays in a machine that starts from it first would install itself at each
// reboot, and take with it what was saved since.
func (i Installer) refuseAgain(d disk.Disk) error {
	again, err := i.installed(d)
	if err != nil {
		return fmt.Errorf("look whether ESOS is on %s already: %w", d, err)
	}
	if !again {
		return nil
	}
	return fmt.Errorf("what is on this ISO is installed on %s already, and nothing was changed, so that the settings saved there are kept: "+
		"remove the ISO, or let the machine start from the disk first; to install again, run `wipefs --all %s` here before", d, d.Path)
}

// installed tells whether a slot on the disk is the ISO's: has the same
// signature. A disk that is no medium has none.
func (i Installer) installed(d disk.Disk) (bool, error) {
	want, err := os.ReadFile(filepath.Join(i.ISO, iso.SlotDir, slot.SignatureFile))
	if err != nil {
		return false, err
	}
	f, err := os.Open(d.Path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	c, err := medium.Open(f)
	if err != nil {
		return false, nil //nolint:nilerr // whatever else it is, it is not ours
	}
	for _, name := range grub.Slots() {
		r, err := c.Slot(name, slot.SignatureFile)
		if err != nil {
			continue // a slot that is empty, or damaged
		}
		got, err := io.ReadAll(io.LimitReader(r, int64(len(want))+1))
		if err == nil && bytes.Equal(got, want) {
			return true, nil
		}
	}
	return false, nil
}
