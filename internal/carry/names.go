package carry

import (
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// Names makes names that documents allow, each once.
type Names struct{ taken map[string]bool }

// Taken says whether a name was given.
func (n *Names) Taken(name string) bool { return n != nil && n.taken[name] }

// Make returns the wish itself if it can be had, else what is nearest.
func (n *Names) Make(wish string) string {
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)) {
			return r
		}
		return '-'
	}, wish)
	name = strings.TrimLeft(name, ".-")
	name = name[:min(len(name), 64)]
	if name == "" {
		name = "unnamed"
	}
	if n.taken == nil {
		n.taken = map[string]bool{}
	}
	for base, i := name, 2; n.taken[name]; i++ {
		suffix := fmt.Sprintf("-%d", i)
		name = base[:min(len(base), 64-len(suffix))] + suffix
	}
	n.taken[name] = true
	return name
}

// TargetName says whether a document allows the name of a driver's target. The
// rules are config's own: it is asked.
func TargetName(driver config.Driver, name string) bool {
	d := config.Document{Version: config.Version, Name: "x", Targets: []config.Target{{Name: name, Driver: driver}}}
	return d.Validate().Err() == nil
}
