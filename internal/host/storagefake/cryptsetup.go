package storagefake

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/host/block"
)

// luksHeader is a LUKS2 header, and the device that opens with it.
type luksHeader struct {
	uuid  string
	keys  map[string]string // by slot
	tpm   bool              // a slot's key is in the TPM
	inner *Device
	name  string // in /dev/mapper while it is open
}

const (
	luksKey    = "luks"
	luksOffset = 16 << 20
)

// luksTools are what encrypts block devices.
func luksTools(m *Machine) {
	m.tools["cryptsetup"], m.tools["systemd-cryptsetup"], m.tools["systemd-cryptenroll"] = cryptsetup, systemdCryptsetup, systemdCryptenroll
}

// luksOn is the header on a device; locked.
func (m *Machine) luksOn(p string) (*Device, *luksHeader) {
	d := m.find(p)
	if d == nil {
		return nil, nil
	}
	h, _ := d.Super[luksKey].(*luksHeader)
	return d, h
}

// luksOpen is what is open under a name; locked.
func (m *Machine) luksOpen(name string) (*Device, *luksHeader) {
	for _, n := range m.order {
		if d, h := m.luksOn(n); h != nil && h.name == name {
			return d, h
		}
	}
	return nil, nil
}

// cryptsetup is the program, as far as it is called in batches. Exit codes are
// those of cryptsetup(8).
func cryptsetup(m *Machine, args []string, input string) (string, error) {
	last := args[len(args)-1]
	switch args[0] {
	case "luksFormat":
		return "", luksFormat(m, args, input)
	case "luksDump":
		_, h := m.luksOn(last)
		if h == nil {
			return "", fails("cryptsetup", 1, "Device %s is not a valid LUKS device.", last)
		}
		return h.json(), nil
	case "luksErase":
		d, h := m.luksOn(last)
		if h == nil {
			return "", fails("cryptsetup", 1, "Device %s is not a valid LUKS device.", last)
		}
		clear(h.keys)
		h.tpm = false
		for _, whose := range []string{d.Owner, h.inner.Owner} {
			if whose != "" {
				m.lost = append(m.lost, whose)
			}
		}
		d.Owner, h.inner.Owner = "", ""
		return "", nil
	case "open":
		name := last
		d, h := m.luksOn(args[len(args)-2])
		if h == nil {
			return "", fails("cryptsetup", 1, "Device %s is not a valid LUKS device.", args[len(args)-2])
		}
		for _, k := range h.keys {
			if k == input {
				return "", m.openLUKS(d, h, name)
			}
		}
		return "", fails("cryptsetup", 2, "No key available with this passphrase.")
	case "close":
		_, h := m.luksOpen(last)
		if h == nil {
			return "", fails("cryptsetup", 4, "Device %s is not active.", last)
		}
		if why := m.busy(h.inner); why != "" {
			return "", fails("cryptsetup", 5, "Device %s is still in use.", last)
		}
		m.closeLUKS(h)
		return "", nil
	case "resize":
		d, h := m.luksOpen(last)
		if h == nil {
			return "", fails("cryptsetup", 4, "Device %s is not active.", last)
		}
		h.inner.Size = d.Size - luksOffset
		return "", nil
	}
	return "", fails("cryptsetup", 1, "Unknown action.")
}

// luksFormat overwrites whatever is there: it is called with --batch-mode.
func luksFormat(m *Machine, args []string, input string) error {
	p := args[len(args)-1]
	d := m.find(p)
	switch {
	case d == nil:
		return fails("cryptsetup", 4, "Device %s does not exist or access denied.", p)
	case m.busy(d) != "":
		return fails("cryptsetup", 5, "Device %s is in use. Cannot proceed with format operation.", p)
	case !slices.Contains(args, "--batch-mode"):
		return fails("cryptsetup", 1, "Nothing was read: nobody answers the question about the data.")
	case input == "":
		return fails("cryptsetup", 1, "Nothing to read on input.")
	case d.Size < 2*luksOffset:
		return fails("cryptsetup", 1, "Device %s is too small.", p)
	}
	m.overwrite(d)
	uuid := flagged(args, "--uuid")
	d.Content = []block.Content{{Type: "crypto_LUKS", UUID: uuid}}
	d.Super[luksKey] = &luksHeader{uuid: uuid, keys: map[string]string{"0": input},
		inner: &Device{Type: "crypt", Size: d.Size - luksOffset, Super: map[string]any{}}}
	return nil
}

func (m *Machine) openLUKS(d *Device, h *luksHeader, name string) error {
	link := path.Join("/dev/mapper", name)
	if m.links[link] != "" || h.name != "" || m.busy(d) != "" {
		return fails("cryptsetup", 5, "Device %s already exists.", name)
	}
	h.inner.Name, h.inner.Below, h.inner.Size = m.name("dm-"), []string{d.Name}, d.Size-luksOffset
	m.add(h.inner)
	m.links[link], h.name = h.inner.Name, name
	d.Owner = "encrypted/" + name
	return nil
}

func (m *Machine) closeLUKS(h *luksHeader) {
	m.remove(h.inner.Name)
	delete(m.links, path.Join("/dev/mapper", h.name))
	h.name = ""
}

// json is the metadata as cryptsetup prints it, as far as that is read.
func (h *luksHeader) json() string {
	slots, tokens := map[string]any{}, map[string]any{}
	for n := range h.keys {
		slots[n] = map[string]string{"type": "luks2"}
	}
	if h.tpm {
		slots["tpm"], tokens["0"] = map[string]string{"type": "luks2"}, map[string]string{"type": "systemd-tpm2"}
	}
	out, err := json.Marshal(map[string]any{"keyslots": slots, "tokens": tokens,
		"segments": map[string]any{"0": map[string]string{"offset": strconv.Itoa(luksOffset)}}})
	if err != nil {
		return ""
	}
	return string(out)
}

func systemdCryptsetup(m *Machine, args []string, _ string) (string, error) {
	name, p := args[1], args[2]
	d, h := m.luksOn(p)
	switch {
	case h == nil:
		return "", fails("systemd-cryptsetup", 1, "Failed to load LUKS superblock on device %s: Invalid argument", p)
	case m.noTPM || !h.tpm:
		return "", fails("systemd-cryptsetup", 1, "Failed to activate: No such file or directory (TPM2)")
	}
	return "", m.openLUKS(d, h, name)
}

func systemdCryptenroll(m *Machine, args []string, input string) (string, error) {
	_, h := m.luksOn(args[len(args)-1])
	all := strings.Join(args, " ")
	byKey := strings.Contains(all, "--unlock-key-file=/dev/stdin")
	switch {
	case h == nil:
		return "", fails("systemd-cryptenroll", 1, "Failed to load LUKS2 superblock: Invalid argument")
	case m.noTPM:
		return "", fails("systemd-cryptenroll", 1, "No suitable TPM2 device found.")
	case byKey && !h.knows(input), !byKey && !h.tpm:
		return "", fails("systemd-cryptenroll", 1, "Unlocking failed: Operation not permitted")
	}
	if strings.Contains(all, "--recovery-key") {
		key := fmt.Sprintf("recovery-%d", len(m.calls))
		h.keys = map[string]string{"1": key}
		return key + "\n", nil
	}
	h.tpm = true
	return "", nil
}

func (h *luksHeader) knows(key string) bool {
	for _, k := range h.keys {
		if k == key {
			return true
		}
	}
	return false
}

// Locked is what a reboot makes of encrypted devices: none is open.
func (m *Machine) Locked() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range slices.Clone(m.order) {
		if _, h := m.luksOn(n); h != nil && h.name != "" {
			m.closeLUKS(h)
		}
	}
}

// Opens says whether a key opens what is encrypted on a device.
func (m *Machine) Opens(device, key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, h := m.luksOn(device)
	return h != nil && h.knows(key)
}

// TPM puts a TPM2 into the machine, or takes it out.
func (m *Machine) TPM(there bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noTPM = !there
}
