package home

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/mdadm"
	"github.com/esos-project/esos/internal/tui/frame"
)

// panels draws how the array is: what is wrong, where it stands, and below that
// targets, storage and sessions.
func (h *Home) panels(c frame.Canvas) {
	y := h.warning(c)
	if !h.seen.read {
		if !h.desk.Lost() {
			c.Put(2, y, c.Theme.Faint, "Reading ...")
		}
		return
	}
	y += h.standing(c.Inside(1, y, c.W-2, c.H-y))
	rest := c.Inside(0, y, c.W, c.H-y)
	const frame, least = 3, 4 // border and titles; and a row
	targets, storage, sessions := frame+max(1, len(h.targets())), frame+h.storageRows(), frame+max(1, len(h.seen.sessions))
	if rest.W >= 120 { // two beside each other
		upper := min(max(targets, storage), max(least, rest.H/2, rest.H-sessions))
		left := rest.W / 2
		h.drawTargets(rest.Inside(0, 0, left, upper))
		h.drawStorage(rest.Inside(left, 0, rest.W-left, upper))
		h.drawSessions(rest.Inside(0, upper, rest.W, rest.H-upper))
		return
	}
	heights := share(rest.H, least, targets, storage, sessions)
	h.drawTargets(rest.Inside(0, 0, rest.W, heights[0]))
	h.drawStorage(rest.Inside(0, heights[0], rest.W, heights[1]))
	h.drawSessions(rest.Inside(0, heights[0]+heights[1], rest.W, heights[2]))
}

// share gives each what it wants, as long as there is something; those with
// more than the least give way first, the largest before the others. The last
// has what is left over.
func share(room, least int, want ...int) []int {
	sum := 0
	for _, w := range want {
		sum += w
	}
	for ; sum > room; sum-- {
		largest := 0
		for i := range want {
			if want[i] > want[largest] {
				largest = i
			}
		}
		if want[largest] <= least {
			break
		}
		want[largest]--
	}
	want[len(want)-1] += max(0, room-sum)
	return want
}

// warning draws a box with what needs somebody, if anything does.
func (h *Home) warning(c frame.Canvas) int {
	var lines []string
	s := h.seen.status
	switch {
	case h.desk.Lost():
		lines = append(lines, "The array's daemon does not answer. What is served is served on; nothing can be changed.",
			"It is asked again every second. If it does not come back: Interface, Exit to Shell, then systemctl status esos.")
	case s.State == "degraded":
		lines = append(lines, "What is served differs from what is declared:")
		for _, p := range s.Problems {
			lines = append(lines, "- "+p)
		}
	}
	if s.Unconfirmed != nil {
		lines = append(lines, fmt.Sprintf("A change of the network by %s is undone at %s unless it is confirmed (esos network confirm).", s.Unconfirmed.Who, s.Unconfirmed.Deadline.Local().Format("15:04:05")))
	}
	for _, a := range s.Alerts {
		lines = append(lines, a.Severity+": "+a.Object+": "+a.Message)
	}
	if n := len(s.Drift); n > 0 {
		lines = append(lines, fmt.Sprintf("%d objects were changed by hand, not by esos (esos drift).", n))
	}
	if len(lines) == 0 {
		return 0
	}
	room := max(3, c.H/5)
	more := len(lines) - room
	if more > 0 {
		lines = append(lines[:room-1], fmt.Sprintf("and %d more: esos alert list, esos status", more+1))
	}
	box := c.Inside(0, 0, c.W, len(lines)+2)
	in := box.Frame(c.Theme.Bad, c.Theme.Banner, "Warning")
	for i, l := range lines {
		in.Cell(1, i, in.W-2, false, c.Theme.Warn, strings.ReplaceAll(l, "\n", " "))
	}
	return box.H
}

// standing draws three lines of where the array stands.
func (h *Home) standing(c frame.Canvas) int {
	s := h.seen.status
	state, level := s.State, frame.Good
	if s.State != "ok" {
		level = frame.Bad
	}
	if s.State == "applying" {
		level = frame.Warn
	}
	label := func(x, y int, name, value string, l frame.Level) int {
		x += c.Put(x, y, c.Theme.Faint, name+" ")
		return x + c.Put(x, y, c.Theme.Level(l, c.Theme.Text), value) + 3
	}
	x := label(0, 0, "State", state, level)
	x = label(x, 0, "Engine", s.Engine, frame.Plain)
	x = label(x, 0, "Revision", fmt.Sprintf("%d by %s", s.Revision.Number, s.Revision.Who), frame.Plain)
	label(x, 0, "Cluster", "not configured", frame.Plain)

	slot, saved, level := h.saved()
	x = label(0, 1, "Slot", slot, frame.Plain)
	x = label(x, 1, "Last save", saved, level)
	label(x, 1, "Devices", fmt.Sprintf("%d, %d LUNs", s.Devices, s.LUNs), frame.Plain)

	t := h.seen.traffic
	if !t.known {
		label(0, 2, "Traffic", "measuring ...", frame.Dim)
		return 3
	}
	half := c.W / 2
	for i, d := range []struct {
		name   string
		now    float64
		values []float64
	}{{"Read", t.readNow, t.reads}, {"Write", t.writeNow, t.writes}} {
		at := i * half
		end := at + half - 1
		x := label(at, 2, d.name, fmt.Sprintf("%7s MB/s", megabytes(d.now)), frame.Plain)
		if i == 1 {
			end -= 12
			c.Cell(end+1, 2, 12, true, c.Theme.Text, fmt.Sprintf("%.0f IOPS", t.iops))
		}
		c.Put(x-2, 2, c.Theme.Good, graph(d.values, max(0, end-x+2), h.desk.Blocks()))
	}
	return 3
}

// saved says which slot runs, and when the settings were saved.
func (h *Home) saved() (slot, saved string, l frame.Level) {
	m := h.seen.medium
	switch {
	case h.seen.noMedium():
		return "none", "not needed: this machine is no appliance", frame.Dim
	case h.seen.mediumErr != nil:
		return "unknown", "unknown", frame.Dim
	case m.Slot == "":
		return "...", "...", frame.Dim
	case m.Last.When.IsZero():
		return m.Slot + " " + m.Version, "none since the boot", frame.Plain
	case m.Last.Error != "":
		return m.Slot + " " + m.Version, "FAILED " + m.Last.When.Local().Format(time.DateTime), frame.Bad
	}
	return m.Slot + " " + m.Version, m.Last.When.Local().Format(time.DateTime), frame.Good
}

func (h *Home) targets() []config.Target {
	if h.seen.document == nil {
		return nil
	}
	return h.seen.document.Targets
}

func (h *Home) drawTargets(c frame.Canvas) {
	targets := h.targets()
	in := c.Panel(fmt.Sprintf("Targets (%d)", len(targets)))
	if len(targets) == 0 {
		in.Wrapped(0, frame.Dim, "There are no targets yet. Targets, Add iSCSI Target makes one.")
		return
	}
	count := map[string]int{}
	for _, s := range h.seen.sessions {
		count[s.Target]++
	}
	var rows []frame.Row
	for _, t := range targets {
		t = t.WithDefaults()
		r := frame.Row{Cells: []string{t.Name, string(t.Driver), "Enabled", fmt.Sprint(count[t.Name]), "N/A"}}
		if t.Driver != config.DriverISCSI {
			r.Cells[4] = "?"
		}
		if t.Disabled {
			r.Cells[2], r.Level = "Disabled", frame.Dim
		}
		rows = append(rows, r)
	}
	in.Table([]frame.Column{{Title: "target", Wide: true}, {Title: "driver"}, {Title: "state"}, {Title: "sess", Right: true}, {Title: "link"}}, rows)
}

// storageRows is how many lines the storage has.
func (h *Home) storageRows() int {
	return 1 + len(h.seen.storage.Arrays) + len(h.seen.fileSystems) + len(h.groups())
}

func (h *Home) groups() []config.VolumeGroup {
	if h.seen.document == nil {
		return nil
	}
	return h.seen.document.Storage.VolumeGroups
}

func (h *Home) drawStorage(c frame.Canvas) {
	in := c.Panel("Storage")
	if !h.seen.storageRead {
		if h.seen.storageErr != nil {
			in.Wrapped(0, frame.Dim, h.seen.storageErr.Error())
			return
		}
		in.Put(0, 0, c.Theme.Faint, "Reading ...")
		return
	}
	in.Table([]frame.Column{{Title: "what", Wide: true}, {Title: "state"}, {Title: "size", Right: true}, {Title: "used", Right: true}}, h.storageTable())
}

func (h *Home) storageTable() []frame.Row {
	s := h.seen.storage
	var bytes int64
	free, trouble := 0, 0
	for _, d := range s.Disks {
		if d.Type == "rom" {
			continue
		}
		bytes += d.Size
		if d.Free {
			free++
		}
		if d.Trouble != "" {
			trouble++
		}
	}
	count := fmt.Sprintf("%d disks", len(s.Disks))
	if len(s.Disks) == 1 {
		count = "1 disk"
	}
	disks := frame.Row{Cells: []string{count, fmt.Sprintf("%d free", free), config.Size(bytes).Human(), ""}}
	if trouble > 0 {
		disks.Level, disks.Cells[1] = frame.Bad, fmt.Sprintf("%d in trouble", trouble)
	}
	rows := []frame.Row{disks}
	for _, a := range s.Arrays {
		r := frame.Row{Cells: []string{"array " + a.Name + " raid" + a.Level, a.State, size(a.Size), ""}}
		switch {
		case slices.Contains([]string{mdadm.Broken, mdadm.Inactive, mdadm.Stopped}, a.State):
			r.Level = frame.Bad
		case a.Degraded > 0:
			r.Level, r.Cells[1] = frame.Bad, fmt.Sprintf("lacks %d of %d", a.Degraded, a.Disks)
		default:
			r.Level = frame.Good
		}
		rows = append(rows, r)
	}
	for _, g := range h.groups() {
		rows = append(rows, frame.Row{Cells: []string{"volume group " + g.Name, fmt.Sprintf("%d volumes", len(g.Volumes)), "", ""}})
	}
	for _, f := range h.seen.fileSystems {
		r := frame.Row{Level: frame.Good, Cells: []string{"file system " + f.Name, "mounted", size(f.Size), ""}}
		if f.Size > 0 {
			used := 100 * f.Used / f.Size
			r.Cells[3] = fmt.Sprintf("%d %%", used)
			if used >= 90 {
				r.Level = frame.Warn
			}
		}
		switch {
		case f.Problem != "":
			r.Level, r.Cells[1] = frame.Bad, "problem"
		case f.ReadOnly:
			r.Level, r.Cells[1] = frame.Bad, "read-only"
		case !f.Mounted:
			r.Level, r.Cells[1] = frame.Bad, "not mounted"
		}
		rows = append(rows, r)
	}
	// What is bad must not be below the edge.
	slices.SortStableFunc(rows[1:], func(a, b frame.Row) int { return grave(b.Level) - grave(a.Level) })
	return rows
}

func grave(l frame.Level) int {
	switch l {
	case frame.Bad:
		return 2
	case frame.Warn:
		return 1
	}
	return 0
}

func size(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return config.Size(bytes).Human()
}

func (h *Home) drawSessions(c frame.Canvas) {
	all := h.seen.sessions
	in := c.Panel(fmt.Sprintf("Sessions (%d)", len(all)))
	if len(all) == 0 {
		in.Wrapped(0, frame.Dim, "Nobody is logged in.")
		return
	}
	var rows []frame.Row
	for i, s := range all {
		if i >= in.H { // the rest is only counted
			rows = append(rows, make([]frame.Row, len(all)-i)...)
			break
		}
		r := frame.Row{Cells: []string{s.Initiator, fmt.Sprint(s.LUNs), fmt.Sprint(s.Active), "-", "-", "-", "-", s.Target}}
		if s.known {
			r.Cells[3], r.Cells[4], r.Cells[5], r.Cells[6] = fmt.Sprintf("%.0f", s.iops), megabytes(s.read), megabytes(s.write), short(s.latency)
		}
		rows = append(rows, r)
	}
	cols := []frame.Column{{Title: "initiator", Wide: true}, {Title: "LUNs", Right: true}, {Title: "active", Right: true}, {Title: "IOPS", Right: true},
		{Title: "rd MB/s", Right: true}, {Title: "wr MB/s", Right: true}, {Title: "latency", Right: true}, {Title: "target"}}
	if in.W < 110 {
		cols = cols[:7]
	}
	in.Table(cols, rows)
}
