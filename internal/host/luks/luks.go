// Package luks makes, opens, grows and erases block devices that are encrypted
// with LUKS2, with cryptsetup and, for keys that a TPM2 keeps, systemd's tools
// for that. Keys go in by the standard input of these programs, never as
// arguments, which every user of the machine can read.
package luks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/block"
)

// Machine runs programs (host.Linux).
type Machine interface {
	Output(ctx context.Context, c host.Call) ([]byte, error)
}

// Type is what LUKS is called among signatures (blkid(8)).
const Type = "crypto_LUKS"

// lookTime is how long a look at a header may take.
const lookTime = 30 * time.Second

// ErrWrongKey is wrapped when a key opens none of the slots.
var ErrWrongKey = errors.New("the key does not fit")

// ErrHolds is wrapped when something is on a device, which is not overwritten.
var ErrHolds = errors.New("holds something, and is not overwritten")

// Secret is a key, and how hard it is to guess.
type Secret struct {
	Bytes []byte
	// Random says that it is made of 256 random bits or more: what slows down
	// guessing is then of no use, and would only take memory at boot.
	Random bool
}

// Header is what the header of an encrypted device says.
type Header struct {
	Offset int64 // bytes before the encrypted data
	Slots  int   // keys that open it
	TPM2   bool  // a TPM2 keeps one of them
}

// Format encrypts a device that has nothing on it, which is looked at here,
// right before. Batch mode is needed where nobody answers (cryptsetup(8)), and
// it overwrites without asking.
func Format(ctx context.Context, m block.Prober, device, uuid string, key Secret) error {
	found, err := block.Contents(ctx, m, device)
	if err != nil {
		return fmt.Errorf("encrypt %s: %w", device, err)
	}
	if len(found) > 0 {
		return fmt.Errorf("encrypt %s: it %w: %s", device, ErrHolds, found[0])
	}
	args := []string{"luksFormat", "--type", "luks2", "--batch-mode", "--uuid", uuid, "--key-file=-"}
	if key.Random {
		args = append(args, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000") // the fewest
	} else {
		// Half of the machine's memory, up to 1 GiB, is the default: a machine
		// that has less when it boots again could not open it.
		args = append(args, "--pbkdf", "argon2id", "--pbkdf-memory", strconv.Itoa(256<<10))
	}
	if _, err := m.Output(ctx, host.Call{Name: "cryptsetup", Args: append(args, device), Input: string(key.Bytes)}); err != nil {
		return fmt.Errorf("encrypt %s: %w", device, err)
	}
	return block.Settle(ctx, m)
}

// Open opens an encrypted device at /dev/mapper/NAME.
//
// What is discarded there is discarded on the device below: thin volumes and
// file systems give space back, and SSDs stay fast. Who sees the disk can then
// tell which of its blocks are in use, and nothing of what they hold
// (cryptsetup(8), --allow-discards). The volume key is kept in the mapping and
// not in the kernel's keyring, so that it can be resized without a key.
func Open(ctx context.Context, m Machine, device, name string, key Secret) error {
	_, err := m.Output(ctx, host.Call{
		Name:  "cryptsetup",
		Args:  []string{"open", "--type", "luks2", "--allow-discards", "--disable-keyring", "--key-file=-", device, name},
		Input: string(key.Bytes),
	})
	return opened(ctx, m, device, err)
}

// OpenTPM2 opens an encrypted device with the key that this machine's TPM2 keeps.
func OpenTPM2(ctx context.Context, m Machine, device, name string) error {
	_, err := m.Output(ctx, host.Call{
		Name: "systemd-cryptsetup", Args: []string{"attach", name, device, "-", "luks,discard,headless=true,tpm2-device=auto"},
	})
	return opened(ctx, m, device, err)
}

func opened(ctx context.Context, m Machine, device string, err error) error {
	var e *host.ExitError
	if errors.As(err, &e) && e.Name == "cryptsetup" && e.Code == 2 { // cryptsetup(8), "RETURN CODES"
		return fmt.Errorf("open %s: %w", device, ErrWrongKey)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", device, err)
	}
	return block.Settle(ctx, m)
}

// Close closes what is open at /dev/mapper/NAME.
func Close(ctx context.Context, m Machine, name string) error {
	if _, err := m.Output(ctx, host.Call{Name: "cryptsetup", Args: []string{"close", name}}); err != nil {
		return fmt.Errorf("close /dev/mapper/%s: %w", name, err)
	}
	return nil
}

// Resize lets what is open take all of its device.
func Resize(ctx context.Context, m Machine, name string) error {
	if _, err := m.Output(ctx, host.Call{Name: "cryptsetup", Args: []string{"resize", name}}); err != nil {
		return fmt.Errorf("grow /dev/mapper/%s: %w", name, err)
	}
	return nil
}

// Erase takes away all keys of an encrypted device: what it holds cannot be
// read any more by whoever has no copy of its header.
func Erase(ctx context.Context, m Machine, device string) error {
	if _, err := m.Output(ctx, host.Call{Name: "cryptsetup", Args: []string{"luksErase", "--batch-mode", device}}); err != nil {
		return fmt.Errorf("erase the keys of %s: %w", device, err)
	}
	return nil
}

// Read reads the header of an encrypted device.
func Read(ctx context.Context, m Machine, device string) (Header, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	out, err := m.Output(ctx, host.Call{Name: "cryptsetup", Args: []string{"luksDump", "--dump-json-metadata", device}})
	if err != nil {
		return Header{}, fmt.Errorf("read the header of %s: %w", device, err)
	}
	h, err := parseHeader(out)
	if err != nil {
		return Header{}, fmt.Errorf("read the header of %s: %w", device, err)
	}
	return h, nil
}

// parseHeader reads the metadata of LUKS2 (LUKS2 On-Disk Format Specification
// 1.1, 3).
func parseHeader(text []byte) (Header, error) {
	var meta struct {
		Slots  map[string]struct{} `json:"keyslots"`
		Tokens map[string]struct {
			Type string `json:"type"`
		} `json:"tokens"`
		Segments map[string]struct {
			Offset string `json:"offset"`
		} `json:"segments"`
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		return Header{}, fmt.Errorf("cryptsetup's answer: %w", err)
	}
	h := Header{Slots: len(meta.Slots)}
	for _, t := range meta.Tokens {
		h.TPM2 = h.TPM2 || t.Type == "systemd-tpm2"
	}
	for _, s := range meta.Segments {
		n, err := strconv.ParseInt(s.Offset, 10, 64)
		if err != nil || n < 0 {
			return Header{}, fmt.Errorf("cryptsetup's answer: the data begins at %q", s.Offset)
		}
		h.Offset = max(h.Offset, n)
	}
	if len(meta.Segments) == 0 {
		return Header{}, errors.New("cryptsetup's answer: there is no data")
	}
	return h, nil
}

// SealTPM2 has this machine's TPM2 keep a new key of an encrypted device. It
// is bound to the TPM and to no state of the firmware: an update of that must
// not keep an array from its disks.
func SealTPM2(ctx context.Context, m Machine, device string, key Secret) error {
	_, err := m.Output(ctx, host.Call{
		Name: "systemd-cryptenroll", Args: []string{"--unlock-key-file=/dev/stdin", "--tpm2-device=auto", "--tpm2-pcrs=", device}, Input: string(key.Bytes),
	})
	if err != nil {
		return fmt.Errorf("have the TPM2 of this machine keep a key of %s: %w", device, err)
	}
	return nil
}

// NewRecovery makes a new recovery key of a device whose key a TPM2 keeps, in
// place of the one that there was, and returns it.
func NewRecovery(ctx context.Context, m Machine, device string) (string, error) {
	out, err := m.Output(ctx, host.Call{
		Name: "systemd-cryptenroll", Args: []string{"--unlock-tpm2-device=auto", "--recovery-key", "--wipe-slot=password,recovery", device},
	})
	key := strings.TrimSpace(string(out))
	if err == nil && key == "" {
		err = errors.New("systemd-cryptenroll printed none")
	}
	if err != nil {
		return "", fmt.Errorf("make a recovery key of %s: %w", device, err)
	}
	return key, nil
}
