package lio

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The kernel writes a device's persistent reservations to a file when they are
// to survive a loss of power (APTPL, SPC-4 5.12.5.3), and reads no such file
// itself: it has to be told of what is in it, before the device is exported.

// reservationsFile is where the kernel keeps those of a device.
func (e *Engine) reservationsFile(serial string) (string, error) {
	root, err := e.k.read("dbroot")
	return filepath.Join(root, "pr", "aptpl_"+serial), err
}

// deleteDevice ends a device with its reservations: another one that gets its
// name gets its serial number, too.
func (e *Engine) deleteDevice(at string) error {
	serial, err := e.k.read(path.Join(at, "wwn/vpd_unit_serial"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := e.dropDevice(at); err != nil {
		return err
	}
	serial = strings.TrimPrefix(serial, serialPrefix)
	if serial == "" || strings.Contains(serial, "/") {
		return nil
	}
	file, err := e.reservationsFile(serial)
	if err == nil {
		err = os.Remove(file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove its persistent reservations: %w", err)
	}
	return nil
}

// restoreReservations gives the kernel back what it wrote of a device.
func (e *Engine) restoreReservations(at, serial string) error {
	file, err := e.reservationsFile(serial)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read its persistent reservations: %w", err)
	}
	registrations, err := parseReservations(text)
	if err != nil {
		return fmt.Errorf("read its persistent reservations from %s: %w; served without them, a host that was fenced off could write: remove the file to have it so", file, err)
	}
	for _, r := range registrations {
		if err := e.k.WriteFile(path.Join(at, "pr/res_aptpl_metadata"), strings.Join(r, ",")); err != nil {
			return fmt.Errorf("restore the persistent reservation %q: %w", r, err)
		}
	}
	return nil
}

// noReservations is what the kernel writes when the last registration is gone.
const noReservations = "No Registrations or Reservations"

// parseReservations reads the kernel's file: for each registration a line
// "PR_REG_START: n", lines key=value, and "PR_REG_END: n"
// (core_scsi3_update_aptpl_buf). It returns the lines of each.
func parseReservations(text []byte) ([][]string, error) {
	text = bytes.TrimRight(text, "\x00\n ")
	if len(text) == 0 || string(text) == noReservations {
		return nil, nil
	}
	var all [][]string
	var one []string
	in := false
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "PR_REG_START: ") && !in:
			in, one = true, nil
		case strings.HasPrefix(line, "PR_REG_END: ") && in:
			if !complete(one) {
				return nil, fmt.Errorf("line %d: the registration that ends here lacks something", i+1)
			}
			in, all = false, append(all, one)
		case in:
			set, err := reservationSetting(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			one = append(one, set)
		default:
			return nil, fmt.Errorf("line %d: %.40q is outside of a registration", i+1, line)
		}
	}
	if in {
		return nil, errors.New("it ends in the middle of a registration")
	}
	return all, nil
}

// complete says whether a registration has what the kernel takes none without.
func complete(registration []string) bool {
	for _, key := range []string{"initiator_node=", "sa_res_key=", "target_node="} {
		if !slices.ContainsFunc(registration, func(s string) bool { return strings.HasPrefix(s, key) }) {
			return false
		}
	}
	return true
}

// reservationSetting checks a line and returns it as the kernel reads it: it
// writes types in hexadecimal, and takes a leading zero for octal.
func reservationSetting(line string) (string, error) {
	key, value, ok := strings.Cut(line, "=")
	if !ok || value == "" || strings.ContainsAny(value, ", \t\x00") {
		return "", fmt.Errorf("%.40q is no setting of a registration", line)
	}
	base := 10
	switch key {
	case "initiator_fabric", "initiator_node", "initiator_sid", "target_fabric", "target_node":
		return line, nil
	case "res_type", "res_scope":
		base = 16
	case "sa_res_key", "res_holder", "res_all_tg_pt", "mapped_lun", "tpgt", "port_rtpi", "target_lun":
	default:
		return "", fmt.Errorf("%.40q is no setting of a registration", line)
	}
	n, err := strconv.ParseUint(value, base, 64)
	if err != nil {
		return "", fmt.Errorf("%.40q: %w", line, err)
	}
	return key + "=" + strconv.FormatUint(n, 10), nil
}
