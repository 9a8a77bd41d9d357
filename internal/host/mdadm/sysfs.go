package mdadm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// files reads the kernel's files of one array.
type files struct {
	m   Reader
	dir string
	err error // the first that is not for want of the file
}

// word is what a file says, without the end of the line; "" if it is not there,
// as most are not at levels without redundancy.
func (f *files) word(name string) string {
	text, err := f.m.ReadFile(path.Join(f.dir, name))
	if err != nil {
		if f.err == nil && !isNotExist(err) {
			f.err = err
		}
		return ""
	}
	return strings.TrimSpace(string(text))
}

// number is the first number of a file.
func (f *files) number(name string) int64 { return leading(f.word(name)) }

// leading is the number that a text begins with; 0 without one.
func leading(text string) int64 {
	end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(text)
	}
	n, err := strconv.ParseInt(text[:end], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// readArray reads what the kernel says of one array, and its name and UUID,
// which mdadm knows.
func readArray(ctx context.Context, m Reader, kernel string) (Array, error) {
	dir := path.Join("/sys/block", kernel, "md")
	state, err := m.ReadFile(path.Join(dir, "array_state"))
	if err != nil {
		return Array{}, err
	}
	f := &files{m: m, dir: dir}
	a := Array{
		Kernel: kernel, State: strings.TrimSpace(string(state)), Level: strings.TrimPrefix(f.word("level"), "raid"),
		Disks: int(f.number("raid_disks")), Chunk: f.number("chunk_size"), Degraded: int(f.number("degraded")),
		Policy:   f.word("consistency_policy"),
		SpeedMin: speed(f.word("sync_speed_min")), SpeedMax: speed(f.word("sync_speed_max")),
		Sync: Sync{Action: f.word("sync_action"), Done: fraction(f.word("sync_completed")), Speed: f.number("sync_speed") << 10},
	}
	if a.State == "clear" { // an array that was
		return a, nil
	}
	// A resync counts what it corrects, too: that says nothing of the disks.
	if last := f.word("last_sync_action"); last == "check" || last == "repair" {
		a.Mismatches = f.number("mismatch_cnt")
	}
	a.Layout = layoutName(a.Level, f.number("layout"))
	if a.Level == "1" || a.Level == "0" {
		a.Layout = ""
	}
	if a.Level == "1" {
		a.Chunk = 0
	}
	a.Size = leading(strings.TrimSpace(readOr(m, path.Join("/sys/block", kernel, "size")))) * 512
	names, err := m.ReadDir(dir)
	if err != nil {
		return Array{}, err
	}
	for _, n := range names {
		if member, ok := strings.CutPrefix(n, "dev-"); ok {
			a.Members = append(a.Members, f.member(member, path.Join(n, "state"), path.Join(n, "slot")))
		}
	}
	if f.err != nil {
		return Array{}, f.err
	}
	slices.SortStableFunc(a.Members, func(x, y Member) int { return place(x) - place(y) })
	out, err := output(ctx, m, "--detail", "--export", "/dev/"+kernel)
	e := parseExport(out)
	if e.UUID == "" {
		if err == nil {
			err = errors.New("mdadm tells no UUID")
		}
		return Array{}, fmt.Errorf("ask mdadm for its UUID: %w", err)
	}
	a.UUID, a.Name = e.UUID, e.Name
	if a.Level == "" { // not started
		a.Level = e.Level
	}
	if a.Disks == 0 {
		a.Disks = e.Disks
	}
	return a, nil
}

func readOr(m Reader, p string) string {
	text, err := m.ReadFile(p)
	if err != nil {
		return "" // its size is told as not known
	}
	return string(text)
}

// place orders members: those with a place first.
func place(m Member) int {
	if m.Role < 0 {
		return 1 << 20
	}
	return 2*m.Role + btoi(m.Is("replacement"))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (f *files) member(kernel, state, slot string) Member {
	m := Member{Kernel: kernel, Role: -1}
	for s := range strings.SplitSeq(f.word(state), ",") {
		if s = strings.TrimSpace(s); s != "" {
			m.State = append(m.State, s)
		}
	}
	if w := f.word(slot); w != "" && w[0] >= '0' && w[0] <= '9' {
		m.Role = int(leading(w))
	}
	return m
}

// speed reads a limit: "2000 (local)" is the array's own, in KiB; "1000
// (system)" is none (md(4)).
func speed(text string) int64 {
	if !strings.HasSuffix(text, "(local)") {
		return 0
	}
	return leading(text) << 10
}

// fraction reads "63676 / 8378368".
func fraction(text string) float64 {
	done, all, ok := strings.Cut(text, "/")
	of := leading(strings.TrimSpace(all))
	if !ok || of == 0 {
		return 0
	}
	return float64(leading(strings.TrimSpace(done))) / float64(of)
}

// parityLayouts are the layouts of levels 5 and 6, by md's number (md_u.h,
// ALGORITHM_*).
var parityLayouts = [...]string{"left-asymmetric", "right-asymmetric", "left-symmetric", "right-symmetric", "parity-first", "parity-last"}

// layoutName is mdadm's word for where blocks go.
func layoutName(level string, n int64) string {
	switch level {
	case "5", "6":
		if n >= 0 && n < int64(len(parityLayouts)) {
			return parityLayouts[n]
		}
	case "10": // raid10.c: near copies, far copies, and whether those are at an offset
		near, far := n&0xff, n>>8&0xff
		switch {
		case far <= 1:
			return fmt.Sprintf("n%d", near)
		case n&(1<<16) != 0:
			return fmt.Sprintf("o%d", far)
		default:
			return fmt.Sprintf("f%d", far)
		}
	}
	return ""
}
