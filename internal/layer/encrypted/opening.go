package encrypted

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/luks"
	"github.com/esos-project/esos/internal/plan"
)

// opening is a step that opens an encrypted device, and what it did of that.
type opening struct {
	layer              Layer
	name, device, uuid string
	key                string // where it comes from
	create             bool   // make it if the device is blank

	made, opened, saved bool
}

func (o *opening) path() string { return "/dev/mapper/" + o.name }

// do looks at the device itself first: it may have come only now.
func (o *opening) do(ctx context.Context, _ plan.Report) error {
	m := o.layer.Machine
	if m.Real(o.path()) != "" {
		return o.isOurs(ctx)
	}
	if m.Real(o.device) == "" {
		return fmt.Errorf("open %s: it is not there", o.device)
	}
	found, err := block.Contents(ctx, m, o.device)
	if err != nil {
		return fmt.Errorf("open %s: %w", o.device, err)
	}
	switch {
	case o.isIn(found):
	case len(found) > 0:
		return fmt.Errorf("open %s: it holds %s, not the encrypted data %s; nothing was changed", o.device, found[0], o.uuid)
	case !o.create:
		return fmt.Errorf("open %s: it is blank: the encrypted data that were there (UUID %s) are gone; nothing was changed", o.device, o.uuid)
	default:
		if err := o.make(ctx); err != nil {
			return err
		}
	}
	if err := o.unlock(ctx); err != nil || !o.made {
		return err
	}
	// What is read of a device that was just encrypted is noise, which would
	// count as data.
	if err := block.WipeAt(ctx, m, o.path()); err != nil {
		return fmt.Errorf("open %s: %w", o.device, err)
	}
	return nil
}

// isOurs says whether what is open has the right UUID.
func (o *opening) isOurs(ctx context.Context) error {
	inv, err := block.Read(ctx, o.layer.Machine)
	if err != nil {
		return err
	}
	d, _ := inv.Find(o.path())
	if below, ok := backing(inv, d); ok && strings.EqualFold(below.UUID, o.uuid) {
		return nil
	}
	return fmt.Errorf("open %s: %s is something else already", o.device, o.path())
}

func (o *opening) isIn(found []block.Content) bool {
	return slices.ContainsFunc(found, func(c block.Content) bool { return c.Type == luks.Type && strings.EqualFold(c.UUID, o.uuid) })
}

// make encrypts the device. A key that is kept in a file is there before what
// it opens.
func (o *opening) make(ctx context.Context) error {
	m := o.layer.Machine
	var key luks.Secret
	switch o.key {
	case byFile:
		var err error
		if key, err = o.fileKey(true); err != nil {
			return err
		}
	case byTPM2:
		key = luks.RecoveryKey()
		o.saved = true
		if err := o.keep(o.layer.unseenFile(o.name), nil); err != nil {
			return err
		}
	default:
		passphrase, mayMake := o.layer.Keys.Typed(o.name)
		if passphrase == nil || !mayMake {
			return fmt.Errorf("encrypt %s: nobody has typed a new passphrase; 'esos encryption unlock %s' asks for it", o.device, o.name)
		}
		key = luks.Secret{Bytes: passphrase}
	}
	defer key.Forget()
	o.made = true // or in part: undo looks
	if err := luks.Format(ctx, m, o.device, o.uuid, key); err != nil {
		o.made = !errors.Is(err, luks.ErrHolds)
		return err
	}
	if o.key != byTPM2 {
		return nil
	}
	if err := luks.SealTPM2(ctx, m, o.device, key); err != nil {
		return err
	}
	o.layer.Keys.Show(o.name, string(key.Bytes))
	return nil
}

// keep saves a file next to the keys.
func (o *opening) keep(path string, data []byte) error {
	if err := o.layer.Machine.MakeDir(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the directory of keys: %w", err)
	}
	return o.layer.Machine.Save(path, data, 0o600)
}

// fileKey reads the key of the file, and makes one if there is none.
func (o *opening) fileKey(mayMake bool) (luks.Secret, error) {
	path := o.layer.keyFile(o.name)
	data, err := o.layer.Machine.ReadFile(path)
	switch {
	case err == nil && len(data) > 0:
		return luks.Secret{Bytes: data, Random: true}, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return luks.Secret{}, fmt.Errorf("read the key of encrypted device %s: %w", o.name, err)
	case !mayMake:
		return luks.Secret{}, fmt.Errorf("read the key of encrypted device %s: %s is not there; restore a backup of the settings", o.name, path)
	}
	key := luks.FileKey()
	o.saved = true
	if err := o.keep(path, key.Bytes); err != nil {
		return luks.Secret{}, fmt.Errorf("keep the key of encrypted device %s: %w", o.name, err)
	}
	return key, nil
}

// unlock opens the device with its key.
func (o *opening) unlock(ctx context.Context) error {
	m := o.layer.Machine
	if o.key == byTPM2 {
		o.opened = true
		if err := luks.OpenTPM2(ctx, m, o.device, o.name); err != nil {
			return fmt.Errorf("%w; if this machine's board was changed, open it with its recovery key ('cryptsetup open %s %s' at the console), and have the new TPM keep a key ('systemd-cryptenroll --wipe-slot=tpm2 --tpm2-device=auto %s')", err, o.device, o.name, o.device)
		}
		return nil
	}
	var key luks.Secret
	if o.key == byFile {
		var err error
		if key, err = o.fileKey(false); err != nil {
			return err
		}
	} else {
		passphrase, _ := o.layer.Keys.Typed(o.name)
		if passphrase == nil {
			return fmt.Errorf("open %s: nobody has typed its passphrase; 'esos encryption unlock %s' asks for it", o.device, o.name)
		}
		key = luks.Secret{Bytes: passphrase}
	}
	defer key.Forget()
	o.opened = true
	err := luks.Open(ctx, m, o.device, o.name, key)
	if o.key == byTyped && (err == nil || errors.Is(err, luks.ErrWrongKey)) {
		o.layer.Keys.Forget(o.name)
	}
	return err
}

// undo takes away what do did. What it made held nothing: what came upon it
// later was undone before.
func (o *opening) undo(ctx context.Context) error {
	m := o.layer.Machine
	if o.opened && m.Real(o.path()) != "" {
		if err := luks.Close(ctx, m, o.name); err != nil {
			return err
		}
	}
	if o.made {
		found, err := block.Contents(ctx, m, o.device)
		if err != nil {
			return err
		}
		if o.isIn(found) || len(found) == 1 && found[0].Type == block.Unknown {
			if err := takeBack(ctx, m, o.device); err != nil {
				return err
			}
		}
	}
	if !o.saved {
		return nil
	}
	// After the data that it opens.
	return errors.Join(m.Delete(o.layer.keyFile(o.name)), m.Delete(o.layer.unseenFile(o.name)))
}
