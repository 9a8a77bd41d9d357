package slot

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/host"
)

// PrivateKey signs manifests. It prints as its comment only.
type PrivateKey struct {
	Key     ed25519.PrivateKey
	Comment string
}

// String names the key without giving it away.
func (k PrivateKey) String() string { return "private key " + k.Public().String() }

// GoString does the same for %#v.
func (k PrivateKey) GoString() string { return k.String() }

// Public is what others need to trust the key.
func (k PrivateKey) Public() PublicKey {
	public, _ := k.Key.Public().(ed25519.PublicKey)
	return PublicKey{Key: public, Comment: k.Comment}
}

// GenerateKey makes a new key.
func GenerateKey(comment string) (PrivateKey, error) {
	if err := checkComment(comment); err != nil {
		return PrivateKey{}, fmt.Errorf("make key: %w", err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("make key: %w", err)
	}
	return PrivateKey{Key: key, Comment: comment}, nil
}

// MarshalPrivateKey returns the line that ParsePrivateKey reads:
// "esos-ed25519-private BASE64-OF-THE-SEED comment".
func MarshalPrivateKey(k PrivateKey) []byte { return keyLine(privatePrefix, k.Key.Seed(), k.Comment) }

// ParsePrivateKey reads the one line of a private key's file.
func ParsePrivateKey(line []byte) (PrivateKey, error) {
	seed, comment, err := parseKeyLine(line, privatePrefix, ed25519.SeedSize)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("read private key: %w", err)
	}
	return PrivateKey{Key: ed25519.NewKeyFromSeed(seed), Comment: comment}, nil
}

// LoadKey reads a private key's file, and refuses one that others can read.
func LoadKey(path string) (PrivateKey, error) {
	st, err := os.Stat(path)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("load signing key: %w", err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return PrivateKey{}, fmt.Errorf("load signing key: others can read %s: run chmod 600 on it, or make a new one if somebody did", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("load signing key: %w", err)
	}
	k, err := ParsePrivateKey(data)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("load signing key %s: %w", path, err)
	}
	return k, nil
}

// LoadOrMakeKey reads the private key at path, or makes one there if there is
// none, readable by its owner only. The public key is put beside it each time,
// as PublicKeyPath says.
func LoadOrMakeKey(path, comment string) (k PrivateKey, made bool, err error) {
	if PublicKeyPath(path) == path {
		return PrivateKey{}, false, fmt.Errorf("load signing key: %s is the name of a public key: want one that ends in .key", path)
	}
	k, err = LoadKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		made = true
		k, err = makeKey(path, comment)
	}
	if err != nil {
		return PrivateKey{}, false, err
	}
	if err := renameio.WriteFile(PublicKeyPath(path), MarshalPublicKey(k.Public()), 0o644); err != nil {
		return PrivateKey{}, false, fmt.Errorf("write public key: %w", err)
	}
	return k, made, host.SyncDir(filepath.Dir(path))
}

func makeKey(path, comment string) (PrivateKey, error) {
	k, err := GenerateKey(comment)
	if err != nil {
		return PrivateKey{}, err
	}
	if err := host.MakeDir(filepath.Dir(path), 0o755); err != nil {
		return PrivateKey{}, fmt.Errorf("write signing key: %w", err)
	}
	if err := renameio.WriteFile(path, MarshalPrivateKey(k), 0o600); err != nil {
		return PrivateKey{}, fmt.Errorf("write signing key: %w", err)
	}
	return k, nil
}

// PublicKeyPath is where the public key of a private key's file is: the same
// name, ending in .pub.
func PublicKeyPath(private string) string {
	return strings.TrimSuffix(private, filepath.Ext(private)) + ".pub"
}
