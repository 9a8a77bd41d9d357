package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// uses says what the disk in sysfs's directory dir, and each of its
// partitions, is used for.
func (m Machine) uses(name, dir string) ([]string, error) {
	mounts, err := m.mounts()
	if err != nil {
		return nil, err
	}
	names := []string{name}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), name) {
			if _, err := os.Stat(filepath.Join(dir, e.Name(), "partition")); err == nil {
				names = append(names, e.Name())
			}
		}
	}
	var uses []string
	for i, n := range names {
		at := dir
		if i > 0 {
			at = filepath.Join(dir, n)
		}
		number := line(at, "dev")
		for _, mount := range mounts {
			// btrfs mounts have numbers of their own; the source tells.
			if mount.number == number || mount.source == filepath.Join(m.Dev, n) {
				uses = append(uses, fmt.Sprintf("%s is mounted at %s", n, mount.at))
			}
		}
		holders, err := os.ReadDir(filepath.Join(at, "holders"))
		if err == nil {
			for _, h := range holders {
				uses = append(uses, fmt.Sprintf("%s is held by %s", n, m.title(h.Name())))
			}
		}
	}
	swaps, err := os.ReadFile(filepath.Join(m.Proc, "swaps"))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for l := range strings.Lines(string(swaps)) {
		f := strings.Fields(l)
		for _, n := range names {
			if len(f) > 1 && f[0] == filepath.Join(m.Dev, n) {
				uses = append(uses, n+" is swap space")
			}
		}
	}
	return uses, nil
}

// title names a mapped device as people do.
func (m Machine) title(name string) string {
	if t := line(filepath.Join(m.Sys, "class/block", name), "dm/name"); t != "" {
		return name + " (" + printable(t) + ")"
	}
	return name
}

type mount struct{ number, at, source string }

// mounts reads /proc/self/mountinfo (proc(5)).
func (m Machine) mounts() ([]mount, error) {
	text, err := os.ReadFile(filepath.Join(m.Proc, "self/mountinfo"))
	if err != nil {
		return nil, err
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var list []mount
	for l := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(l, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 2 {
			continue
		}
		list = append(list, mount{number: f[2], at: unescape.Replace(f[4]), source: unescape.Replace(g[1])})
	}
	return list, nil
}

// MountedFrom returns the disk that a directory's file system is on, "" if it
// is on none.
func (m Machine) MountedFrom(dir string) (string, error) {
	mounts, err := m.mounts()
	if err != nil {
		return "", err
	}
	source := ""
	for _, one := range mounts { // the last one covers those before it
		if one.at == dir {
			source = one.source
		}
	}
	if !strings.HasPrefix(source, m.Dev+"/") {
		return "", nil
	}
	real, err := filepath.EvalSymlinks(source)
	if err != nil {
		return "", err
	}
	return m.ParentOf(filepath.Base(real)), nil
}

// MountPoint returns where a disk or partition is mounted, "" if it is not.
func (m Machine) MountPoint(name string) string {
	mounts, err := m.mounts()
	if err != nil {
		return ""
	}
	number := line(filepath.Join(m.Sys, "class/block", name), "dev")
	for _, one := range mounts {
		if number != "" && one.number == number {
			return one.at
		}
	}
	return ""
}
