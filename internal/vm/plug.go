package vm

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Plug puts a drive on the USB bus of a machine that was started with one: a
// stick that was unplugged, or another one. The file must not be in use.
func (m *Machine) Plug(ctx context.Context, d Drive) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plugged++
	if err := m.plug(ctx, d, "plug"+strconv.Itoa(m.plugged)); err != nil {
		return fmt.Errorf("plug %s into %s: %w", d.File, m.name, err)
	}
	return nil
}

func (m *Machine) plug(ctx context.Context, d Drive, id string) error {
	if d.Bus != USB || d.Snapshot || d.WriteLog != "" {
		return errors.New("only a plain USB stick can be plugged in")
	}
	format := d.Format
	if format == "" {
		format = "raw"
	}
	if _, err := m.do(ctx, "blockdev-add", map[string]any{"node-name": "n" + id, "driver": format, "read-only": d.ReadOnly,
		"file": map[string]any{"driver": "file", "filename": d.File}}); err != nil {
		return err
	}
	device := map[string]any{"driver": "usb-storage", "id": id, "drive": "n" + id, "bus": "xhci.0", "removable": true}
	if d.Serial != "" {
		device["serial"] = d.Serial
	}
	_, err := m.do(ctx, "device_add", device)
	return err
}
