package firstboot

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/crypto/ssh"
)

// hostKeys makes the keys that SSH shows to those who log in. There is no RSA
// key: everything of the last ten years speaks one of these, and making one
// takes a slow machine half a minute.
func (m Machine) hostKeys() error {
	var errs []error
	for _, kind := range []struct {
		name string
		make func() (crypto.PrivateKey, error)
	}{
		{"ed25519", func() (crypto.PrivateKey, error) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			return key, err
		}},
		{"ecdsa", func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
	} {
		name := "etc/ssh/ssh_host_" + kind.name + "_key"
		there, err := m.has(name)
		if err == nil && !there {
			var key crypto.PrivateKey
			if key, err = kind.make(); err == nil {
				err = m.writeKey(name, key)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("make SSH host key %s: %w", kind.name, err))
		}
	}
	return errors.Join(errs...)
}

// writeKey writes a key's public half first: where the private one is, both
// are.
func (m Machine) writeKey(name string, key crypto.PrivateKey) error {
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return err
	}
	if err := m.write(name+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o644); err != nil {
		return err
	}
	if err := m.write(name, pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	m.Log.Info("made an SSH host key", "file", name, "fingerprint", ssh.FingerprintSHA256(signer.PublicKey()))
	return nil
}

const initiatorFile = "etc/iscsi/initiatorname.iscsi"

// initiatorName makes the name that this machine has where it is an iSCSI
// initiator itself. Debian's package leaves a file that asks for one.
func (m Machine) initiatorName() error {
	text, err := os.ReadFile(m.path(initiatorFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the iSCSI initiator name: %w", err)
	}
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("InitiatorName=iqn.")) {
			return nil
		}
	}
	id := strings.ReplaceAll(uuid.NewString(), "-", "")
	name := "iqn.2026-11.org.esos-project:host." + id[:16]
	if err := m.write(initiatorFile, []byte("# This machine's name as an iSCSI initiator. Two machines must not share one.\nInitiatorName="+name+"\n"), 0o600); err != nil {
		return fmt.Errorf("make an iSCSI initiator name: %w", err)
	}
	m.Log.Info("made an iSCSI initiator name", "name", name)
	return nil
}

// nvmeHost makes the identity that this machine has as an NVMe host: an
// identifier, and the name made of it (NVMe Base 2.0, 4.5).
func (m Machine) nvmeHost() error {
	const idFile, nameFile, prefix = "etc/nvme/hostid", "etc/nvme/hostnqn", "nqn.2014-08.org.nvmexpress:uuid:"
	read := func(name string) (string, error) {
		text, err := os.ReadFile(m.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return strings.TrimSpace(string(text)), err
	}
	id, err := read(idFile)
	if err != nil {
		return fmt.Errorf("read the NVMe host identifier: %w", err)
	}
	name, err := read(nameFile)
	if err != nil {
		return fmt.Errorf("read the NVMe host name: %w", err)
	}
	if id != "" && name != "" {
		return nil
	}
	if id == "" {
		// The two belong together: controllers refuse one with a stranger's other.
		if id = strings.TrimPrefix(name, prefix); uuid.Validate(id) != nil {
			id = uuid.NewString()
		}
		if err := m.write(idFile, []byte(id+"\n"), 0o644); err != nil {
			return fmt.Errorf("make an NVMe host identifier: %w", err)
		}
	}
	if name == "" {
		name = prefix + id
		if err := m.write(nameFile, []byte(name+"\n"), 0o644); err != nil {
			return fmt.Errorf("make an NVMe host name: %w", err)
		}
	}
	m.Log.Info("made an NVMe host identity", "name", name)
	return nil
}
