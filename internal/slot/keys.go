package slot

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io/fs"
	"strings"
)

// PublicKey is a key whose signatures are trusted.
type PublicKey struct {
	Key     ed25519.PublicKey
	Comment string // who has the private one
}

// PublicKeyPattern matches the files that LoadKeys reads.
const PublicKeyPattern = "*.pub"

const (
	publicPrefix  = "esos-ed25519"
	privatePrefix = "esos-ed25519-private"
	maxKeyFile    = 4096
	maxComment    = 200
)

// String names the key in messages.
func (k PublicKey) String() string {
	if k.Comment != "" {
		return k.Comment
	}
	return base64.StdEncoding.EncodeToString(k.Key)
}

// MarshalPublicKey returns the line that ParsePublicKey reads:
// "esos-ed25519 BASE64 comment".
func MarshalPublicKey(k PublicKey) []byte { return keyLine(publicPrefix, k.Key, k.Comment) }

// ParsePublicKey reads the one line of a public key's file.
func ParsePublicKey(line []byte) (PublicKey, error) {
	key, comment, err := parseKeyLine(line, publicPrefix, ed25519.PublicKeySize)
	if err != nil {
		return PublicKey{}, fmt.Errorf("read public key: %w", err)
	}
	return PublicKey{Key: key, Comment: comment}, nil
}

// LoadKeys reads the public keys (*.pub) in a directory. One that cannot be
// read is an error: a key that is silently not trusted shows much later.
func LoadKeys(dir fs.FS) ([]PublicKey, error) {
	files, err := fs.Glob(dir, PublicKeyPattern)
	if err != nil {
		return nil, fmt.Errorf("load trusted keys: %w", err)
	}
	var keys []PublicKey
	for _, name := range files {
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, fmt.Errorf("load trusted keys: %w", err)
		}
		k, err := ParsePublicKey(data)
		if err != nil {
			return nil, fmt.Errorf("load trusted keys: %s: %w", name, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("load trusted keys: no file %s there", PublicKeyPattern)
	}
	return keys, nil
}

func keyLine(prefix string, key []byte, comment string) []byte {
	line := prefix + " " + base64.StdEncoding.EncodeToString(key)
	if comment != "" {
		line += " " + comment
	}
	return []byte(line + "\n")
}

func parseKeyLine(line []byte, prefix string, size int) (key []byte, comment string, err error) {
	if len(line) > maxKeyFile {
		return nil, "", fmt.Errorf("more than %d bytes", maxKeyFile)
	}
	text := string(bytes.TrimSpace(line))
	if strings.ContainsAny(text, "\n\r") {
		return nil, "", fmt.Errorf("more than one line")
	}
	kind, rest, _ := strings.Cut(text, " ")
	if kind != prefix {
		return nil, "", fmt.Errorf("it does not begin with %q", prefix)
	}
	encoded, comment, _ := strings.Cut(rest, " ")
	key, err = base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, "", fmt.Errorf("what follows %q is no base64", prefix)
	}
	if len(key) != size {
		return nil, "", fmt.Errorf("a key of %d bytes, want %d", len(key), size)
	}
	if err := checkComment(comment); err != nil {
		return nil, "", err
	}
	return key, comment, nil
}

// checkComment keeps control characters off the consoles that comments are shown on.
func checkComment(s string) error {
	if len(s) > maxComment {
		return fmt.Errorf("a comment of %d bytes, want at most %d", len(s), maxComment)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("comment %q has characters that are not printable ASCII", s)
	}
	return nil
}
