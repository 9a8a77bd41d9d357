package snapshot

import (
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
)

// stamp is the part of a snapshot's name that tells its moment, in UTC: local
// time comes twice in the night that summer time ends.
const stamp = "20060102-150405"

// mostName is the length of what a snapshot's name begins with. With the
// stamp, the volume's name and its group's it has to fit into a name of
// device-mapper.
const mostName = 32

func stamped(name string, t time.Time) string { return name + "-" + t.UTC().Format(stamp) }

// takenAt is the moment that a snapshot's name tells.
func takenAt(name string) (time.Time, bool) {
	if len(name) < len(stamp)+2 || name[len(name)-len(stamp)-1] != '-' {
		return time.Time{}, false
	}
	t, err := time.Parse(stamp, name[len(name)-len(stamp):])
	return t, err == nil
}

// checkName checks what a snapshot's name begins with: it becomes part of
// names of LVM, of files and of tags.
func checkName(name string) error {
	switch {
	case name == "":
		return refuse("a snapshot needs a name")
	case len(name) > mostName:
		return refuse("%q is longer than %d characters; a snapshot's name also has its time and its device's", name, mostName)
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" || strings.ContainsRune(".-", rune(name[0])) || lvmKeeps(name):
		return refuse("%q is no name of a snapshot: it has letters, digits, \".\", \"_\" and \"-\" only, and begins with a letter or digit", name)
	}
	return nil
}

// lvmKeeps says whether a name has a part that LVM keeps for itself in names
// of volumes (lvm(8)).
func lvmKeeps(name string) bool { return config.KeptByLVM(name) }

// Parse takes DEVICE@NAME apart.
func Parse(id string) (device, name string, err error) {
	device, name, ok := strings.Cut(id, "@")
	if !ok || device == "" || name == "" {
		return "", "", refuse("%q names no snapshot; its form is DEVICE@NAME, as 'esos snapshot list' shows it", id)
	}
	return device, name, nil
}
