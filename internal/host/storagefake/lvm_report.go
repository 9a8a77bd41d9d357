package storagefake

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// fullreport prints the columns that the wrapper asks for, and all that go
// with them in the real one's JSON: text, each.
func fullreport(m *Machine) (string, error) {
	type rows = []map[string]string
	type report struct {
		VG    rows `json:"vg,omitempty"`
		PV    rows `json:"pv,omitempty"`
		LV    rows `json:"lv,omitempty"`
		PVSeg rows `json:"pvseg"`
		Seg   rows `json:"seg,omitempty"`
	}
	var all []report
	for _, g := range m.groups() {
		var r report
		var size, free int64
		for _, p := range g.devices {
			size, free = size+p.extents*g.extent, free+(p.extents-g.used(p))*g.extent
			row := map[string]string{"pv_name": "[unknown]", "pv_uuid": p.uuid, "pv_size": decimal(p.extents * g.extent), "pv_free": decimal((p.extents - g.used(p)) * g.extent),
				"pe_start": decimal(p.start), "dev_size": "0", "pv_missing": "missing"}
			if d := m.where(p); d != nil {
				row["pv_name"], row["dev_size"], row["pv_missing"] = "/dev/"+d.Name, decimal(d.Size), ""
			}
			r.PV = append(r.PV, row)
		}
		r.VG = rows{{"vg_name": g.name, "vg_uuid": g.uuid, "vg_size": decimal(size), "vg_free": decimal(free), "vg_extent_size": decimal(g.extent),
			"vg_tags": strings.Join(g.tags, ","), "vg_missing_pv_count": strconv.Itoa(m.missing(g)), "vg_exported": "", "vg_systemid": "", "vg_lock_type": ""}}
		for _, v := range g.volumes {
			r.LV = append(r.LV, m.volumeRow(g, v))
			r.Seg = append(r.Seg, m.segmentRow(g, v))
		}
		all = append(all, r)
	}
	var spare report
	for _, n := range m.order {
		if p, ok := m.devs[n].Super["lvm"].(*lvmDevice); ok && p.group == nil {
			spare.PV = append(spare.PV, map[string]string{"pv_name": "/dev/" + n, "pv_uuid": p.uuid, "pv_size": decimal(m.devs[n].Size), "pv_free": "0", "pe_start": decimal(p.start), "dev_size": decimal(m.devs[n].Size), "pv_missing": ""})
		}
	}
	if len(spare.PV) > 0 {
		all = append(all, spare)
	}
	out, err := json.Marshal(map[string]any{"report": all, "log": []string{}})
	return string(out), err
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// percent is nothing for what is not active.
func percent(known bool, p float64) string {
	if !known {
		return ""
	}
	return fmt.Sprintf("%.2f", p)
}

func (m *Machine) volumeRow(g *lvmGroup, v *lvmVolume) map[string]string {
	name, attr, active, suspended, health := v.name, "-wi-------", "", "unknown", v.health
	if v.hidden {
		name = "[" + name + "]"
	}
	if v.ro {
		attr = "-ri-------"
	}
	if v.active {
		active, suspended = "active", ""
		if v.dev != nil && v.dev.Suspended {
			suspended = "suspended"
		}
	}
	if v.lacks(m, g) > 0 {
		health = "partial"
	}
	open := ""
	if v.dev != nil && v.active && (m.busy(v.dev) != "" || len(m.above(v.dev.Name)) > 0) {
		open = "open"
	}
	skip := ""
	if v.skip {
		skip = "skip activation"
	}
	row := map[string]string{"lv_name": name, "lv_uuid": v.uuid, "lv_size": decimal(v.size), "pool_lv": v.pool, "origin": v.origin, "lv_tags": v.tag,
		"lv_active": active, "lv_suspended": suspended, "lv_device_open": open, "lv_attr": attr, "lv_skip_activation": skip, "lv_health_status": health,
		"lv_time": "2026-11-28 13:39:16 +0000", "lv_when_full": v.whenFull, "move_pv": v.moves}
	if v.spare() > 0 {
		row["copy_percent"], row["raid_sync_action"], row["raid_mismatch_count"] = percent(v.active, 100), "idle", "0"
	}
	if v.kind == "thin-pool" || v.kind == "thin" {
		row["data_percent"] = percent(v.active, v.data)
	}
	if v.kind == "thin-pool" {
		row["metadata_percent"], row["lv_metadata_size"] = percent(v.active, v.meta), decimal(v.metadata)
	}
	if v.pool != "" && (v.kind == "cache" || v.kind == "writecache") {
		row["pool_lv"], row["origin"] = "["+v.pool+"]", "["+v.origin+"]"
	}
	if v.kind == "vdo-pool" {
		running := slices.ContainsFunc(g.volumes, func(w *lvmVolume) bool { return w.pool == v.name && w.active })
		row["data_percent"] = percent(running, v.data)
		if running {
			row["vdo_operating_mode"], row["vdo_used_size"], row["vdo_saving_percent"] = "normal", decimal(int64(float64(v.size)*v.data/100)), "100.00"
		}
	}
	return row
}

func (m *Machine) segmentRow(g *lvmGroup, v *lvmVolume) map[string]string {
	var devices []string
	for _, p := range v.parts {
		devices = append(devices, p.name+"(0)")
	}
	for _, p := range g.devices {
		if v.room[p] == 0 {
			continue
		}
		name := "[unknown]"
		if d := m.where(p); d != nil {
			name = "/dev/" + d.Name
		}
		devices = append(devices, name+"(0)")
	}
	onOff := map[bool]string{true: "enabled"}
	row := map[string]string{"lv_uuid": v.uuid, "segtype": v.kind, "data_stripes": strconv.Itoa(v.stripes), "data_copies": strconv.Itoa(v.copies),
		"stripe_size": decimal(v.stripeSize), "chunk_size": decimal(v.chunk), "devices": strings.Join(devices, ","), "cache_mode": v.mode,
		"vdo_compression": onOff[v.compress], "vdo_deduplication": onOff[v.duplicates]}
	if p := g.volume(v.pool); v.kind == "vdo" && p != nil {
		row["vdo_compression"], row["vdo_deduplication"] = onOff[p.compress], onOff[p.duplicates]
	}
	return row
}
