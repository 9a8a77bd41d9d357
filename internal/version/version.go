// Package version says which version of the software this program is.
package version

import "runtime/debug"

// stamped is set by the linker where Go's own record has no version: in
// images, whose programs are built without what differs from clone to clone.
var stamped string

// String is the stamped version, else the module's, else the commit's that the
// program was built from.
func String() string {
	if stamped != "" {
		return stamped
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	v := "devel"
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v += "-" + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			v += "-modified"
		}
	}
	return v
}
