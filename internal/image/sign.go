package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/internal/slot"
)

// sign writes the slot's manifest: the digests of all parts, under one
// signature.
func (b *builder) sign(context.Context) error {
	chosen, err := b.chooseKernels()
	if err != nil {
		return err
	}
	menu, err := b.arguments().Menu().Config()
	if err != nil {
		return err
	}
	// An upgrade brings its own: kernels of another version may want others.
	if err := os.WriteFile(b.slotFile(grub.MenuFile), menu, 0o644); err != nil {
		return err
	}
	names := []string{rootPart, grub.MenuFile}
	for _, k := range chosen {
		names = append(names, k.KernelPart, k.InitramfsPart)
	}
	if err := b.removeOthers(names); err != nil {
		return err
	}
	m := slot.Manifest{Version: b.Version, Built: b.Epoch.Unix(), Kernel: chosen[0].Release}
	for _, name := range names {
		part, err := b.describe(name)
		if err != nil {
			return err
		}
		m.Parts = append(m.Parts, part)
	}
	data, sig, err := m.Sign(b.Key.Key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.slotFile(slot.ManifestFile), data, 0o644); err != nil {
		return err
	}
	b.Progress.Say("signed by %s", b.Key.Public())
	// Beside the image, so that whoever writes it to a stick can check it.
	keys := filepath.Join(b.Out, "keys")
	if err := os.RemoveAll(keys); err != nil {
		return err
	}
	if err := writeKeys(keys, b.Trusted); err != nil {
		return err
	}
	return os.WriteFile(b.slotFile(slot.SignatureFile), sig, 0o644)
}

func (b *builder) describe(name string) (slot.Part, error) {
	f, err := os.Open(b.slotFile(name))
	if err != nil {
		return slot.Part{}, err
	}
	defer f.Close()
	return slot.Describe(f, name)
}

// removeOthers removes what an earlier build left in the slot: a debug kernel
// that is not wanted any more.
func (b *builder) removeOthers(names []string) error {
	keep := map[string]bool{slot.ManifestFile: true, slot.SignatureFile: true}
	for _, n := range names {
		keep[n] = true
	}
	found, err := os.ReadDir(b.slot())
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range found {
		if !keep[d.Name()] {
			errs = append(errs, os.RemoveAll(b.slotFile(d.Name())))
		}
	}
	return errors.Join(errs...)
}

// keyFile is a public key's file: named by the key, so that two never share a
// name.
func keyFile(k slot.PublicKey) (name string, text []byte) {
	sum := sha256.Sum256(k.Key)
	return hex.EncodeToString(sum[:8]) + ".pub", slot.MarshalPublicKey(k)
}

func writeKeys(dir string, keys []slot.PublicKey) error {
	for _, k := range keys {
		name, text := keyFile(k)
		if err := writeFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return fmt.Errorf("write the trusted keys: %w", err)
		}
	}
	return nil
}
