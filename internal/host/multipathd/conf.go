package multipathd

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ConfFile is what multipathd, multipath and udev's rules read.
const ConfFile = "/etc/multipath.conf"

// Named is a disk with the name that its map gets.
type Named struct{ Name, WWID string }

// Conf is what multipathd is told.
type Conf struct {
	Maps   []Named
	Policy string // which path the next I/O takes; service-time if "", unless the array's vendor says otherwise
}

// heading is the first line of a file that is ESOS's.
const heading = "# Written by ESOS from storage.multipath of its document; changes made here are lost."

// queueChecks is how many rounds of checks, 5 seconds each, I/O is kept for
// while no path works: a minute. That is as long as an array takes to hand a
// disk over to its other controller. Without an end (multipath-tools' choice
// for many arrays) a RAID array over two of them would hang with one that is
// gone, rather than go on without it; and initiators, which give up after 30 to
// 60 seconds, would never hear an error.
const queueChecks = 12

// Text is the file. Disks are gathered by name only: all are on the blacklist,
// and the declared ones excepted, so that no disk of this machine, and none
// that something stands on, is ever taken by multipathd on its own account. It
// has the same effect as find_multipaths strict, without the list of known
// disks that multipath keeps in another file.
func (c Conf) Text() string {
	var b strings.Builder
	b.WriteString(heading + "\n")
	b.WriteString("defaults {\n\tfind_multipaths off\n\tuser_friendly_names no\n\tpolling_interval 5\n\tskip_kpartx yes\n}\n")
	// What is here goes before multipath-tools' own table of arrays.
	fmt.Fprintf(&b, "overrides {\n\tno_path_retry %d\n", queueChecks)
	if c.Policy != "" {
		fmt.Fprintf(&b, "\tpath_selector \"%s 0\"\n", c.Policy)
	}
	b.WriteString("}\nblacklist {\n\twwid \".*\"\n}\nblacklist_exceptions {\n\tproperty \".*\"\n")
	maps := slices.Clone(c.Maps)
	slices.SortFunc(maps, func(x, y Named) int { return strings.Compare(x.Name, y.Name) })
	for _, m := range maps {
		fmt.Fprintf(&b, "\twwid \"^%s$\"\n", regexp.QuoteMeta(m.WWID))
	}
	b.WriteString("}\nmultipaths {\n")
	for _, m := range maps {
		fmt.Fprintf(&b, "\tmultipath {\n\t\twwid \"%s\"\n\t\talias \"%s\"\n\t}\n", m.WWID, m.Name)
	}
	b.WriteString("}\n")
	return b.String()
}

// Ours says whether ESOS wrote a file.
func Ours(text string) bool { return strings.HasPrefix(text, heading+"\n") }

// Parse reads back what ESOS wrote.
func Parse(text string) []Named {
	if !Ours(text) {
		return nil
	}
	var maps []Named
	var now Named
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		value = strings.Trim(value, `"`)
		switch {
		case key == "wwid" && !strings.HasPrefix(value, "^") && value != ".*":
			now.WWID = value
		case key == "alias":
			now.Name = value
			maps = append(maps, now)
		}
	}
	return maps
}
