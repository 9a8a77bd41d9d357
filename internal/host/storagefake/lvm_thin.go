package storagefake

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// thinNumbers are the numbers that a thin pool gives to its volumes, and the
// count of its transactions.
type thinNumbers struct{ last, transaction int }

// number gives a new volume of a pool its number, with a transaction.
func (g *lvmGroup) number(v *lvmVolume) {
	p := g.volume(v.pool)
	p.thin.last++
	p.thin.transaction++
	v.thinID = p.thin.last
}

// tPool is a thin pool to device-mapper.
type tPool struct {
	m    *Machine
	g    *lvmGroup
	pool *lvmVolume
}

// thinTarget finds a thin pool by its name in device-mapper; locked.
func (m *Machine) thinTarget(name string) ThinTarget {
	if t := m.pools[name]; t != nil {
		return t
	}
	for _, g := range m.groups() {
		for _, v := range g.volumes {
			if v.kind == "thin-pool" && v.active && mapped(g.name, v.name)+"-tpool" == name {
				return tPool{m, g, v}
			}
		}
	}
	return nil
}

func (t tPool) find(id int) *lvmVolume {
	for _, v := range t.g.volumes {
		if v.pool == t.pool.name && v.thinID == id {
			return v
		}
	}
	return nil
}

// Status implements ThinTarget.
func (t tPool) Status() string {
	return fmt.Sprintf("0 4194304 thin-pool %d 122/1024 656/32768 - rw no_discard_passdown queue_if_no_space - 256 \n", t.pool.thin.transaction)
}

// Message implements ThinTarget: delete of a volume that nobody uses, and
// create_snap of one that is suspended.
func (t tPool) Message(text string) error {
	var id, from int
	if _, err := fmt.Sscanf(text, "delete %d", &id); err == nil {
		if v := t.find(id); v != nil {
			if v.active {
				return fails("dmsetup", 1, "device-mapper: message ioctl failed: Device or resource busy")
			}
			t.m.overwrite(v.dev)
		}
		return nil
	}
	if _, err := fmt.Sscanf(text, "create_snap %d %d", &id, &from); err != nil {
		return fails("dmsetup", 1, "device-mapper: message ioctl failed: Invalid argument")
	}
	v, origin := t.find(id), t.find(from)
	if v == nil || origin == nil || !origin.dev.Suspended {
		return fmt.Errorf("snapshot of a volume that is written to: it would be damaged")
	}
	v.dev.Content = slices.Clone(origin.dev.Content)
	return nil
}

// lvs lists the volumes that are not hidden.
func lvs(m *Machine) (string, error) {
	list := []map[string]string{}
	for _, g := range m.groups() {
		for _, v := range g.volumes {
			if v.hidden {
				continue
			}
			row := m.volumeRow(g, v)
			attr := []byte("-wi-------")
			switch v.kind {
			case "thin":
				attr[0], row["thin_id"] = 'V', strconv.Itoa(v.thinID)
			case "thin-pool":
				attr[0], row["transaction_id"] = 't', strconv.Itoa(v.thin.transaction)
			}
			if v.ro {
				attr[1] = 'r'
			}
			if v.active {
				attr[4] = 'a'
			}
			if row["lv_suspended"] == "suspended" {
				attr[4] = 's'
			}
			if row["lv_device_open"] == "open" {
				attr[5] = 'o'
			}
			row["lv_attr"], row["vg_name"], row["vg_uuid"], row["lv_dm_path"] = string(attr), g.name, g.uuid, "/dev/mapper/"+mapped(g.name, v.name)
			list = append(list, row)
		}
	}
	out, err := json.Marshal(map[string]any{"report": []any{map[string]any{"lv": list}}})
	return string(out), err
}

// retag takes tags away from a volume and adds others.
func (c *lvmCall) retag(v *lvmVolume) {
	tags := strings.FieldsFunc(v.tag, func(r rune) bool { return r == ',' })
	tags = slices.DeleteFunc(tags, func(t string) bool { return slices.Contains(strings.Split(c.options["--deltag"], ","), t) })
	if c.has("--addtag") {
		tags = append(tags, c.options["--addtag"])
	}
	v.tag = strings.Join(tags, ",")
}

// mappedUUID is a volume's UUID in device-mapper.
func mappedUUID(g *lvmGroup, v *lvmVolume) string {
	return "LVM-" + strings.ReplaceAll(g.uuid+v.uuid, "-", "")
}
