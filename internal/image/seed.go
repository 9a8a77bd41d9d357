package image

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/esos-project/esos/internal/config"
)

// ReadDocument reads an esos.yaml that a medium is to begin with, and refuses
// one that the appliance would refuse.
func ReadDocument(name string) ([]byte, error) {
	if _, _, err := config.Load(name); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	return text, nil
}

// WriteSeed makes the tree that a new medium's first boot finds in its
// settings: the document that the array begins with, and the SSH public keys
// that may log in.
func WriteSeed(dir string, document, sshKeys []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if len(document) > 0 {
		// It may hold CHAP secrets.
		if err := writeFile(filepath.Join(dir, "etc/esos/esos.yaml"), document, 0o600); err != nil {
			return err
		}
	}
	if len(sshKeys) > 0 {
		for _, user := range []string{"root", "admin"} {
			if err := writeFile(filepath.Join(dir, "etc/ssh/authorized_keys.d", user), sshKeys, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
