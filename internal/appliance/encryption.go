package appliance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/luks"
	"github.com/esos-project/esos/internal/layer/encrypted"
)

// ErrNotNow says that something cannot be done as an object is.
var ErrNotNow = errors.New("not now")

// shortest is how long a new passphrase has to be.
const shortest = 12

// Encrypted is an encrypted device that is declared, as it is.
type Encrypted struct {
	config.Encrypted
	Open    bool
	Made    bool  // it is there, open or not
	Size    int64 // bytes, while it is open
	Waits   bool  // for somebody who types its passphrase
	Unseen  bool  // nobody has its recovery key
	Problem string
}

// Encrypted lists the encrypted devices that are declared, as they are.
func (a *Appliance) Encrypted(ctx context.Context) ([]Encrypted, error) {
	now, err := a.Storage(ctx)
	if err != nil {
		return nil, err
	}
	problems := a.problemsOf()
	list := make([]Encrypted, 0, len(now.Declared.Storage.Encrypted))
	for _, e := range now.Declared.Storage.Encrypted {
		one := Encrypted{Encrypted: e, Unseen: now.Storage.Encrypted.Unseen[e.Name], Problem: problems["encrypted/"+e.Name]}
		if d, ok := now.Blocks.Find(e.Path()); ok && d.Type == "crypt" {
			one.Open, one.Made, one.Size = true, true, d.Size
		} else if below, ok := now.Blocks.Find(e.Device); ok {
			one.Made = below.Signature == luks.Type && strings.EqualFold(below.UUID, encrypted.UUID(now.Declared, e))
		}
		one.Waits = e.Key == "typed" && !one.Open
		list = append(list, one)
	}
	return list, nil
}

// problemsOf tells what is wrong with objects, by name.
func (a *Appliance) problemsOf() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := map[string]string{}
	for _, p := range a.problems {
		if of[p.Object] == "" {
			of[p.Object] = p.Message
		}
	}
	return of
}

func (a *Appliance) findEncrypted(ctx context.Context, name string) (Encrypted, error) {
	if !a.ownsMachine {
		return Encrypted{}, fmt.Errorf("encrypted device %s: %w", name, ErrNotOwner)
	}
	all, err := a.Encrypted(ctx)
	if err != nil {
		return Encrypted{}, err
	}
	i := slices.IndexFunc(all, func(e Encrypted) bool { return e.Name == name })
	if i < 0 {
		return Encrypted{}, fmt.Errorf("encrypted device %q: %w; 'esos encryption list' shows all", name, config.ErrNotFound)
	}
	return all[i], nil
}

// Unlock opens an encrypted device with its passphrase, and what stands on it
// comes up. With mayMake a device that is not there yet is made; one that is
// not declared yet is made when it is declared within ten minutes, until when
// the passphrase is held in memory.
func (a *Appliance) Unlock(ctx context.Context, name string, passphrase []byte, mayMake bool) error {
	if mayMake && len(passphrase) < shortest {
		return fmt.Errorf("unlock %s: %w: a new passphrase has at least %d characters; several words are good", name, ErrNotNow, shortest)
	}
	e, err := a.findEncrypted(ctx, name)
	switch {
	case errors.Is(err, config.ErrNotFound) && mayMake:
		a.keys.put(name, passphrase, mayMake)
		return nil
	case err != nil:
		return err
	case e.Key != "typed":
		return fmt.Errorf("unlock %s: %w: its key is %s, and it is opened by itself", name, ErrNotNow, e.Key)
	case e.Open:
		return fmt.Errorf("unlock %s: %w: it is open", name, ErrNotNow)
	case !e.Made && !mayMake:
		return fmt.Errorf("unlock %s: %w: there are no encrypted data on %s yet; a new passphrase makes them (typed twice)", name, ErrNotNow, e.Device)
	}
	a.keys.put(name, passphrase, mayMake && !e.Made)
	defer a.keys.Forget(name)
	if err := a.Reconcile(ctx); err != nil {
		return err
	}
	if e, err = a.findEncrypted(ctx, name); err != nil {
		return err
	}
	if !e.Open {
		return fmt.Errorf("unlock %s: %w: %s", name, ErrNotNow, e.Problem)
	}
	return nil
}

// Lock closes an encrypted device whose passphrase is typed. What stands on it
// must not be in use.
func (a *Appliance) Lock(ctx context.Context, name string) error {
	select {
	case <-a.applies:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { a.applies <- struct{}{} }()
	e, err := a.findEncrypted(ctx, name)
	switch {
	case err != nil:
		return err
	case e.Key != "typed":
		return fmt.Errorf("lock %s: %w: its key is %s, and it would be opened again by itself", name, ErrNotNow, e.Key)
	case !e.Open:
		return nil
	}
	a.keys.Forget(name)
	if err := luks.Close(ctx, a.disks, name); err != nil {
		return fmt.Errorf("lock %s: %w: %w; devices, file systems and volumes on it are in use: delete them first (their data stays)", name, ErrNotNow, err)
	}
	a.Kick()
	return nil
}

// RecoveryKey returns the recovery key of an encrypted device whose key a TPM
// keeps: the one that was made with it, once, and from then on a new one in its
// place.
func (a *Appliance) RecoveryKey(ctx context.Context, name string) (string, error) {
	select {
	case <-a.applies:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { a.applies <- struct{}{} }()
	e, err := a.findEncrypted(ctx, name)
	switch {
	case err != nil:
		return "", err
	case e.Key != "tpm2":
		return "", fmt.Errorf("recovery key of %s: %w: its key is %s; only those that a TPM keeps have one", name, ErrNotNow, e.Key)
	case !e.Made:
		return "", fmt.Errorf("recovery key of %s: %w: it is not there", name, ErrNotNow)
	}
	key := a.keys.peek(name)
	if key == "" {
		if key, err = luks.NewRecovery(ctx, a.disks, e.Device); err != nil {
			return "", err
		}
	}
	if err := encrypted.RecoveryShown(a.disks, a.dataDir, name); err != nil {
		return "", err
	}
	a.keys.seen(name)
	a.event("encryption.recovery_key", "encrypted/"+name, "its recovery key was shown")
	a.Kick() // it is not told to be missing any more
	return key, nil
}
