package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/persist"
)

// StrangeError says that a medium has the settings of another machine.
type StrangeError struct {
	Device string
	Host   string // whose they are
}

// Error says whose, and what adopting does.
func (e *StrangeError) Error() string {
	return fmt.Sprintf("%s has the settings of another machine (%s): they would be kept as older generations, and that machine could not boot from it with its own any more; say --yes if that is wanted", e.Device, e.Host)
}

// Adopt takes another medium for the one that this machine was booted from,
// which was lost: settings are saved to it from now on, at once for the first
// time. With strange, one that has another machine's settings is taken, too.
func (m *Machine) Adopt(ctx context.Context, strange bool) (device string, saved persist.Saved, err error) {
	if device, err = m.adopt(ctx, strange); err != nil {
		return device, saved, fmt.Errorf("adopt a medium: %w", err)
	}
	saved, err = m.Save(ctx, "medium adopted")
	return device, saved, err
}

func (m *Machine) adopt(ctx context.Context, strange bool) (string, error) {
	lock, err := m.take(ctx)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if device, err := m.find(); err == nil {
		return "", fmt.Errorf("the medium that this machine was booted from is there (%s): nothing is to be adopted", device)
	}
	device, err := m.candidate()
	if err != nil {
		return "", err
	}
	if err := m.strange(device); err != nil {
		var other *StrangeError
		if !errors.As(err, &other) || !strange {
			return device, err
		}
	}
	if err := m.rewrite(device); err != nil {
		return device, err
	}
	// What waited for the next boot was on the one that was lost.
	if err := os.Remove(m.hold); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return device, err
	}
	return device, nil
}

// candidate is the one other medium that is there.
func (m *Machine) candidate() (string, error) {
	parts, err := host.Partitions(m.sys, m.label)
	if err != nil {
		return "", err
	}
	var found []string
	for _, p := range parts {
		if !p.Held {
			found = append(found, p.Device)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no other medium is there: plug one in that `mkesos write` made")
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("several media are there (%s): pull those that are not to be adopted", strings.Join(found, ", "))
}

// strange says whether a medium has another machine's settings.
func (m *Machine) strange(device string) (err error) {
	if err := m.attach(device, m.mount); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.detach(m.mount)) }()
	list, err := persist.Inspect(m.mount)
	if err != nil {
		return err
	}
	n := persist.Newest(list)
	if n == nil || n.Machine != "" && n.Machine == m.identity() {
		return nil // it has none, or once was this machine's
	}
	return &StrangeError{Device: device, Host: n.Host}
}

// rewrite has the report of the boot speak of the medium that a partition is
// on: all that look for the medium read it there.
func (m *Machine) rewrite(device string) error {
	text, err := os.ReadFile(m.report)
	if err != nil {
		return err
	}
	var report map[string]any
	if err := json.Unmarshal(text, &report); err != nil {
		return fmt.Errorf("read %s: %w", m.report, err)
	}
	was, ok := report["medium"].(map[string]any)
	if !ok {
		return fmt.Errorf("%s does not say what this machine was booted from", m.report)
	}
	medium, err := m.describe(device)
	if err != nil {
		return err
	}
	for key, value := range medium {
		was[key] = value
	}
	for _, key := range []string{"model", "transport", "mirrored"} {
		delete(was, key)
	}
	if text, err = json.MarshalIndent(report, "", "  "); err != nil {
		return err
	}
	return renameio.WriteFile(m.report, append(text, '\n'), 0o644)
}

// describe is a medium as the report has it, by one of its partitions.
func (m *Machine) describe(device string) (map[string]any, error) {
	disk := m.diskOf(device)
	parts := map[string]any{}
	root := ""
	for _, label := range []string{"ESOS_BOOT", "esos_root", Label, "esos_logs", "esos_data"} {
		found, err := host.Partitions(m.sys, label)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if m.diskOf(p.Device) != disk || p.Held {
				continue
			}
			read := m.uuid
			if label == "ESOS_BOOT" {
				read = m.fatUUID
			}
			uuid, err := read(p.Device)
			if err != nil {
				return nil, err
			}
			parts[label] = map[string]any{"device": p.Device, "uuid": uuid, "size": m.sizeOf(p.Device)}
			if label == "esos_root" {
				root = uuid
			}
		}
	}
	if root == "" {
		return nil, fmt.Errorf("%s is no medium of ESOS: it has no esos_root", disk)
	}
	return map[string]any{"device": "/dev/" + disk, "disks": []string{disk}, "uuid": root, "partitions": parts}, nil
}

// diskOf is the disk that a partition is on: the directory above its own.
func (m *Machine) diskOf(device string) string {
	name := filepath.Base(device)
	real, err := filepath.EvalSymlinks(filepath.Join(m.sys, "class/block", name))
	if err != nil {
		return name
	}
	return filepath.Base(filepath.Dir(real))
}

// sizeOf is a partition's size in bytes; sysfs counts in 512 of them.
func (m *Machine) sizeOf(device string) int64 {
	text, err := os.ReadFile(filepath.Join(m.sys, "class/block", filepath.Base(device), "size"))
	if err != nil {
		return 0
	}
	var sectors int64
	if _, err := fmt.Sscan(string(text), &sectors); err != nil {
		return 0
	}
	return sectors * 512
}
