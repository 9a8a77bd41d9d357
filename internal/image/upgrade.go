package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/internal/upgrade"
)

// upgradeFile is where the file for `esos upgrade` goes.
func (b *builder) upgradeFile() string {
	return filepath.Join(b.Out, "esos-"+b.Version+upgrade.Suffix)
}

// makeUpgrade puts the slot into one file, for appliances that run already.
func (b *builder) makeUpgrade(ctx context.Context) error {
	digest, err := digestFile(b.slotFile(slot.SignatureFile)) // stands for all of it
	if err != nil {
		return err
	}
	return b.step(ctx, "upgrade", []any{"upgrade 1", digest}, []string{b.upgradeFile()}, func(context.Context) error {
		old, err := filepath.Glob(filepath.Join(b.Out, "esos-*"+upgrade.Suffix))
		if err != nil {
			return err
		}
		for _, name := range old {
			if err := os.Remove(name); err != nil {
				return fmt.Errorf("remove an older upgrade: %w", err)
			}
		}
		f, err := renameio.NewPendingFile(b.upgradeFile(), renameio.WithPermissions(0o644))
		if err != nil {
			return err
		}
		err = upgrade.WriteBundle(f, b.slot(), []slot.PublicKey{b.Key.Public()})
		if err == nil {
			return f.CloseAtomicallyReplace()
		}
		return errors.Join(err, f.Cleanup())
	})
}
