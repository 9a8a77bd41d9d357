package mdadm

import (
	"bufio"
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// Superblock is what a device says of the array that it is part of.
type Superblock struct {
	Kernel string `json:"kernel_name"`
	UUID   string `json:"uuid"`
	Name   string `json:"name,omitempty"`
	Level  string `json:"level"`
	Disks  int    `json:"raid_disks"`
	Chunk  int64  `json:"chunk,omitempty"`
	Layout string `json:"layout,omitempty"`
	Size   int64  `json:"size,omitempty"` // of the array; bytes
	Events int64  `json:"events"`
	Role   int    `json:"role"` // its place, -1 of a spare or journal
	// Journal says that it is the array's journal, Rebuilding that it was not
	// complete.
	Journal    bool `json:"journal,omitempty"`
	Rebuilding bool `json:"rebuilding,omitempty"`
	// NeedsJournal says that the array has one, Bitmap that it has that.
	NeedsJournal bool `json:"needs_journal,omitempty"`
	Bitmap       bool `json:"bitmap,omitempty"`
}

// Bits of a superblock's feature map (md_p.h).
const (
	featureBitmap  = 1
	featureJournal = 512
)

// parseExamine reads what mdadm --examine prints: a line a fact, and those are
// the same since superblocks have version 1. Its --export form leaves out which
// place a device has, and so whether an array can be started.
func parseExamine(text []byte) (Superblock, bool) {
	s := Superblock{Role: -1}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		key, value, ok := strings.Cut(line, " : ")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok {
			// Version 0.90: "this     0     8    1    0    active sync   /dev/sda1"
			if f := strings.Fields(line); len(f) >= 6 && f[0] == "this" && f[5] != "spare" {
				s.Role = int(leading(f[4]))
			}
			continue
		}
		first, _, _ := strings.Cut(value, " ")
		switch key {
		case "Array UUID", "UUID":
			s.UUID = FromMD(first)
		case "Name":
			s.Name = bare(first)
		case "Raid Level":
			s.Level = strings.TrimPrefix(first, "raid")
		case "Raid Devices":
			s.Disks = int(leading(first))
		case "Array Size":
			s.Size = leading(first) << 10
		case "Feature Map":
			bits := hexadecimal(first)
			s.Bitmap, s.NeedsJournal = bits&featureBitmap != 0, bits&featureJournal != 0
		case "Events":
			s.Events = leading(first[strings.LastIndexByte(first, '.')+1:])
		case "Layout":
			s.Layout = shortLayout(value)
		case "Chunk Size":
			s.Chunk = kibibytes(first)
		case "Recovery Offset":
			s.Rebuilding = true
		case "Device Role":
			s.Role = role(value)
			s.Journal = value == "Journal"
		}
	}
	if s.Level == "0" || s.Level == "1" {
		s.Layout = ""
	}
	// md has room for 384 places (md_p.h, MD_SB_DISKS and the 1.x role table).
	return s, s.UUID != "" && s.Disks >= 0 && s.Disks < 1<<16 && s.Size >= 0
}

// role reads "Active device 2" and "Replacement device 2"; spares and journals
// have no place.
func role(value string) int {
	for _, kind := range []string{"Active device ", "Replacement device "} {
		if n, ok := strings.CutPrefix(value, kind); ok {
			return int(min(leading(n), 1<<16))
		}
	}
	return -1
}

// shortLayout makes n2 of "near=2", o2 of "offset=2"; levels 5 and 6 have words.
func shortLayout(value string) string {
	for field := range strings.SplitSeq(value, ",") {
		kind, n, ok := strings.Cut(strings.TrimSpace(field), "=")
		if !ok {
			return value
		}
		if n != "1" && kind != "" {
			return kind[:1] + n
		}
	}
	return value
}

// kibibytes reads "512K" and "1M".
func kibibytes(text string) int64 {
	n := leading(text)
	switch {
	case n < 0 || n > 1<<30:
		return 0
	case strings.HasSuffix(text, "M"):
		return n << 20
	case strings.HasSuffix(text, "K"):
		return n << 10
	}
	return n
}

func hexadecimal(text string) (n int64) {
	text, _ = strings.CutPrefix(text, "0x")
	for _, r := range text {
		digit := strings.IndexRune("0123456789abcdef", r)
		if digit < 0 || n > 1<<40 {
			return n
		}
		n = n<<4 | int64(digit)
	}
	return n
}

// bare is an array's name without the host that it was made on, "any:" say.
func bare(name string) string {
	if _, own, ok := strings.Cut(name, ":"); ok {
		return own
	}
	return name
}

// gather puts the superblocks of arrays together that do not run.
func gather(found []Superblock) []Array {
	var arrays []Array
	byUUID := map[string][]Superblock{}
	var order []string
	for _, s := range found {
		if byUUID[s.UUID] == nil {
			order = append(order, s.UUID)
		}
		byUUID[s.UUID] = append(byUUID[s.UUID], s)
	}
	for _, uuid := range order {
		arrays = append(arrays, assemble(byUUID[uuid]))
	}
	return arrays
}

// assemble says what an array would be if it was started with what there is.
func assemble(parts []Superblock) Array {
	newest := slices.MaxFunc(parts, func(x, y Superblock) int { return cmp.Compare(x.Events, y.Events) })
	a := Array{UUID: newest.UUID, Name: newest.Name, Level: newest.Level, Disks: newest.Disks, Chunk: newest.Chunk, Layout: newest.Layout,
		Size: newest.Size, State: Stopped, Policy: policy(newest)}
	taken := map[int]bool{}
	for _, s := range parts {
		m := Member{Kernel: s.Kernel, Role: s.Role, Events: s.Events}
		// The kernel takes a disk whose count of events is one behind: it was
		// about to be written when the machine stopped (md.c, super_1_validate).
		fresh := s.Events+1 >= newest.Events
		switch {
		case !fresh:
			m.State = []string{Stale}
		case s.Journal:
			m.State = []string{"journal"}
		case s.Role < 0 || s.Rebuilding || s.Role >= a.Disks:
			m.State = []string{"spare"}
		default:
			m.State = []string{"in_sync"}
			taken[s.Role] = true
		}
		a.Members = append(a.Members, m)
	}
	slices.SortStableFunc(a.Members, func(x, y Member) int { return place(x) - place(y) })
	a.Degraded = a.Disks - len(taken)
	return a
}

func policy(s Superblock) string {
	switch {
	case s.NeedsJournal:
		return "journal"
	case s.Bitmap:
		return "bitmap"
	case s.Level == "0":
		return ""
	}
	return "resync"
}
