package mkesos

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/esos-project/esos/internal/slot"
)

// keyHint is the default of --key as help shows it.
const keyHint = "~/.config/esos/signing.key"

// keys returns the key that signs and all that images of this build trust: the
// signing key's own public half, and those of --trust.
func (f *buildFlags) keys() (slot.PrivateKey, []slot.PublicKey, error) {
	path, err := f.keyPath()
	if err != nil {
		return slot.PrivateKey{}, nil, err
	}
	key, made, err := slot.LoadOrMakeKey(path, "image signing key")
	if err != nil {
		return key, nil, err
	}
	if made {
		fmt.Fprintf(os.Stderr, "made the signing key %s: keep it, appliances built with it take upgrades from it only\n", path)
	}
	trusted := []slot.PublicKey{key.Public()}
	for _, file := range f.trusted {
		text, err := os.ReadFile(file)
		if err != nil {
			return key, nil, fmt.Errorf("read a trusted key: %w", err)
		}
		k, err := slot.ParsePublicKey(text)
		if err != nil {
			return key, nil, fmt.Errorf("trusted key %s: %w", file, err)
		}
		trusted = append(trusted, k)
	}
	return key, trusted, nil
}

// keyPath is where the signing key lies: outside of the source tree, so that
// cleaning it up loses no key.
func (f *buildFlags) keyPath() (string, error) {
	if f.key != "" {
		return f.key, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find a place for the signing key: %w; name one with --key", err)
	}
	return filepath.Join(dir, "esos", "signing.key"), nil
}
