package install

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/disk"
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

// installed tells whether the disk is a medium that was made of what is on the
// ISO. What its slots hold says nothing: they change with upgrades.
func (i Installer) installed(d disk.Disk) (bool, error) {
	ours, err := os.ReadFile(filepath.Join(i.ISO, iso.SlotDir, slot.SignatureFile))
	if err != nil {
		return false, err
	}
	f, err := os.Open(d.Path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if !medium.IsMedium(f) {
		return false, nil // consent was asked for whatever it is
	}
	theirs, err := medium.MadeOf(f)
	if err != nil {
		return false, fmt.Errorf("%w; settings may be saved there: to install all the same, run `wipefs --all %s` here before", err, d.Path)
	}
	return bytes.Equal(theirs, ours), nil
}
