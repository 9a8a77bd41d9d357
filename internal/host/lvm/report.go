package lvm

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// State is LVM's volume groups, and devices that are prepared for one.
type State struct {
	Groups []Group  `json:"groups,omitempty"`
	Spare  []Device `json:"spare,omitempty"` // physical volumes without a group
}

// Group is a volume group.
type Group struct {
	Name     string   `json:"name"`
	UUID     string   `json:"uuid"`
	Size     int64    `json:"size"` // bytes
	Free     int64    `json:"free"` // bytes
	Extent   int64    `json:"extent_size"`
	Tags     []string `json:"tags,omitempty"`
	Missing  int      `json:"missing,omitempty"` // devices that are not there
	Exported bool     `json:"exported,omitempty"`
	// System is the host that the group belongs to (lvmsystemid(7)), Lock how
	// it is shared (lvmlockd(8)): others' groups.
	System  string   `json:"system_id,omitempty"`
	Lock    string   `json:"lock_type,omitempty"`
	Devices []Device `json:"devices"`
	Volumes []Volume `json:"volumes,omitempty"` // hidden ones too
}

// Device is a physical volume.
type Device struct {
	Path    string `json:"path"` // "[unknown]" where it is missing
	UUID    string `json:"uuid"`
	Size    int64  `json:"size"`        // bytes that volumes can have
	Free    int64  `json:"free"`        // bytes
	Start   int64  `json:"start"`       // where its first extent is
	Whole   int64  `json:"device_size"` // bytes of the block device
	Missing bool   `json:"missing,omitempty"`
}

// Volume is a logical volume, or a hidden part of one.
type Volume struct {
	Name      string   `json:"name"`
	UUID      string   `json:"uuid"`
	Type      string   `json:"type"` // LVM's word of its first segment: linear, striped, raid6_zr, thin-pool, thin, vdo, vdo-pool, cache, writecache
	Size      int64    `json:"size"` // bytes
	Pool      string   `json:"pool,omitempty"`
	Origin    string   `json:"origin,omitempty"`
	Tags      []string `json:"tags,omitempty"`
	Hidden    bool     `json:"hidden,omitempty"`
	Active    bool     `json:"active"`
	Suspended bool     `json:"suspended,omitempty"`
	Open      bool     `json:"open,omitempty"`
	ReadOnly  bool     `json:"read_only,omitempty"`
	Skip      bool     `json:"skip_activation,omitempty"`
	Health    string   `json:"health,omitempty"` // partial, refresh needed, mismatches exist, failed, out_of_data, metadata_read_only
	Created   string   `json:"created,omitempty"`
	Devices   []string `json:"devices,omitempty"` // paths of physical volumes, names of hidden parts

	Stripes    int   `json:"stripes,omitempty"` // without those of parity
	StripeSize int64 `json:"stripe_size,omitempty"`
	Copies     int   `json:"copies,omitempty"`
	// Synced is how far copies and parity are, in percent; nil for volumes
	// without.
	Synced     *float64 `json:"synced_percent,omitempty"`
	Sync       string   `json:"sync_action,omitempty"` // idle, resync, recover, check, reshape
	Mismatches int64    `json:"mismatches,omitempty"`

	Data         *float64 `json:"data_percent,omitempty"` // of its space, how much is used; of pools, thin volumes, caches, VDO
	Metadata     *float64 `json:"metadata_percent,omitempty"`
	MetadataSize int64    `json:"metadata_size,omitempty"`
	Chunk        int64    `json:"chunk,omitempty"`
	WhenFull     string   `json:"when_full,omitempty"` // error or queue, of a thin pool

	CacheMode string `json:"cache_mode,omitempty"`
	Dirty     int64  `json:"dirty_blocks,omitempty"` // of a cache, what is not on the volume yet

	Compression   bool     `json:"compression,omitempty"`
	Deduplication bool     `json:"deduplication,omitempty"`
	Used          int64    `json:"used,omitempty"` // bytes, of a VDO
	Saving        *float64 `json:"saving_percent,omitempty"`
	Operating     string   `json:"operating_mode,omitempty"` // of a VDO: normal, recovering, read-only

	Moves string `json:"moves,omitempty"` // of a pvmove volume: the device that is emptied
}

// Group finds a volume group by its name.
func (s State) Group(name string) (Group, bool) {
	for _, g := range s.Groups {
		if g.Name == name {
			return g, true
		}
	}
	return Group{}, false
}

// Volume finds a volume by its name.
func (g Group) Volume(name string) (Volume, bool) {
	for _, v := range g.Volumes {
		if v.Name == name {
			return v, true
		}
	}
	return Volume{}, false
}

// Has says whether a group or volume has a tag.
func Has(tags []string, tag string) bool { return slices.Contains(tags, tag) }

// Columns of the subreports. What segments know must be asked for there: the
// report refuses columns of another kind (fullreport in lvm(8)).
const (
	groupColumns   = "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size,vg_tags,vg_missing_pv_count,vg_exported,vg_systemid,vg_lock_type"
	deviceColumns  = "pv_name,pv_uuid,pv_size,pv_free,pe_start,dev_size,pv_missing"
	volumeColumns  = "lv_name,lv_uuid,lv_size,pool_lv,origin,lv_tags,lv_active,lv_suspended,lv_device_open,lv_attr,lv_skip_activation,lv_health_status,lv_time,copy_percent,raid_sync_action,raid_mismatch_count,data_percent,metadata_percent,lv_metadata_size,lv_when_full,cache_dirty_blocks,vdo_used_size,vdo_saving_percent,vdo_operating_mode,move_pv"
	segmentColumns = "lv_uuid,segtype,data_stripes,data_copies,stripe_size,chunk_size,devices,cache_mode,vdo_compression,vdo_deduplication"
)

func reportArguments() []string {
	args := []string{"--reportformat", "json", "--units", "b", "--nosuffix", "--all"}
	for _, r := range [][2]string{{"vg", groupColumns}, {"pv", deviceColumns}, {"lv", volumeColumns}, {"seg", segmentColumns}, {"pvseg", "pvseg_start"}} {
		args = append(args, "--configreport", r[0], "--options", r[1])
	}
	return args
}

type row map[string]string

func parse(text []byte) (State, error) {
	var list struct {
		Report []struct {
			VG  []row `json:"vg"`
			PV  []row `json:"pv"`
			LV  []row `json:"lv"`
			Seg []row `json:"seg"`
		} `json:"report"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return State{}, fmt.Errorf("lvm's report: %w", err)
	}
	var s State
	for _, r := range list.Report {
		var devices []Device
		for _, p := range r.PV {
			devices = append(devices, device(p))
		}
		if len(r.VG) == 0 { // those without a group
			s.Spare = append(s.Spare, devices...)
			continue
		}
		g := group(r.VG[0])
		g.Devices = devices
		at := make(map[string]int, len(r.LV))
		for _, l := range r.LV {
			v := volume(l)
			if _, twice := at[v.UUID]; twice {
				continue
			}
			at[v.UUID] = len(g.Volumes)
			g.Volumes = append(g.Volumes, v)
		}
		for _, seg := range r.Seg {
			if i, ok := at[seg["lv_uuid"]]; ok {
				segment(&g.Volumes[i], seg)
			}
		}
		s.Groups = append(s.Groups, g)
	}
	return s, nil
}

func group(r row) Group {
	g := Group{
		Name: r["vg_name"], UUID: r["vg_uuid"], Size: r.number("vg_size"), Free: r.number("vg_free"), Extent: r.number("vg_extent_size"),
		Tags: words(r["vg_tags"]), Missing: int(min(r.number("vg_missing_pv_count"), math.MaxInt32)), Exported: r["vg_exported"] != "",
		System: r["vg_systemid"], Lock: r["vg_lock_type"],
	}
	return g
}

func device(r row) Device {
	return Device{
		Path: r["pv_name"], UUID: r["pv_uuid"], Size: r.number("pv_size"), Free: r.number("pv_free"), Start: r.number("pe_start"),
		Whole: r.number("dev_size"), Missing: r["pv_missing"] != "",
	}
}

func volume(r row) Volume {
	name, hidden := strings.CutPrefix(r["lv_name"], "[")
	v := Volume{
		Name: strings.TrimSuffix(name, "]"), Hidden: hidden, UUID: r["lv_uuid"], Size: r.number("lv_size"),
		Pool: bare(r["pool_lv"]), Origin: bare(r["origin"]), Tags: words(r["lv_tags"]),
		Active: r["lv_active"] != "", Suspended: r["lv_suspended"] == "suspended", Open: r["lv_device_open"] == "open",
		Skip: r["lv_skip_activation"] != "", Health: r["lv_health_status"], Created: r["lv_time"],
		Synced: r.percent("copy_percent"), Sync: r["raid_sync_action"], Mismatches: r.number("raid_mismatch_count"),
		Data: r.percent("data_percent"), Metadata: r.percent("metadata_percent"), MetadataSize: r.number("lv_metadata_size"),
		WhenFull: r["lv_when_full"], Dirty: r.number("cache_dirty_blocks"),
		Used: r.number("vdo_used_size"), Saving: r.percent("vdo_saving_percent"), Operating: r["vdo_operating_mode"], Moves: r["move_pv"],
	}
	// The second bit of lv_attr is w, r, or R for what is read-only only as it
	// is active now (lvs(8)); lv_permissions knows active ones only.
	if attr := r["lv_attr"]; len(attr) > 1 {
		v.ReadOnly = attr[1] == 'r'
	}
	return v
}

// segment adds what a segment knows; the first one says what the volume is.
func segment(v *Volume, r row) {
	if v.Type == "" {
		v.Type = r["segtype"]
		v.Stripes, v.Copies = int(min(r.number("data_stripes"), math.MaxInt32)), int(min(r.number("data_copies"), math.MaxInt32))
		v.StripeSize, v.Chunk = r.number("stripe_size"), r.number("chunk_size")
		v.CacheMode = r["cache_mode"]
		v.Compression, v.Deduplication = r["vdo_compression"] == "enabled", r["vdo_deduplication"] == "enabled"
	}
	for _, d := range words(r["devices"]) {
		if at := strings.LastIndexByte(d, '('); at > 0 {
			d = d[:at]
		}
		if !slices.Contains(v.Devices, d) {
			v.Devices = append(v.Devices, d)
		}
	}
}

// bare is the name of a hidden volume without its brackets.
func bare(name string) string { return strings.Trim(name, "[]") }

func words(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// number is 0 for what LVM does not know, which it tells in several ways.
func (r row) number(column string) int64 {
	n, err := strconv.ParseInt(r[column], 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func (r row) percent(column string) *float64 {
	f, err := strconv.ParseFloat(r[column], 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || f < 0 {
		return nil
	}
	return &f
}
