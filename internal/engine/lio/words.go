package lio

import (
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/attribute"
	"github.com/esos-project/esos/internal/host/kernfs/words"
)

// wordStore keeps the words that the kernel's tree has no place for: the names of
// portals, the order of groups, which portals a target is limited to.
type wordStore struct{ words.Store }

// targetWords are those of a target.
type targetWords struct {
	// Target is as it was put. Of its LUNs there are only those that cannot be
	// in the tree (a group without initiators), and those of dynamic ACLs,
	// which all are read-only if one of them is.
	Target config.Target `json:"target"`
	// Secrets are those of Target.Auth: its users' and then its mutual one.
	Secrets []string `json:"secrets,omitempty"`
	// Was holds the kernel's own values of what we set, by the file. Some
	// fabrics have none to set.
	Was map[string]string `json:"was"`
	// Attributes are words of the target's own attributes, ACLAttributes of
	// those of its groups.
	Attributes    attribute.Words `json:"attributes"`
	ACLAttributes attribute.Words `json:"acl_attributes"`

	kept bool // there are words: the target is ours
}

// target reads the words of a target; those of one without any are its name.
func (s wordStore) target(p place) (targetWords, error) {
	bare := func() targetWords { return targetWords{Target: config.Target{Name: p.name, Driver: p.driver}} }
	w := bare()
	ok, err := s.Get("targets", p.name, &w)
	if err != nil || !ok || w.Target.Name != p.name || w.Target.Driver != p.driver {
		return bare(), err
	}
	if !w.Target.Auth.Reveal(w.Secrets) { // damaged: without them nobody logs in
		w = bare()
	}
	w.kept = true
	return w, nil
}

// putTarget writes the words of a target. Secrets are hidden from JSON: they
// go beside it, into a file that only root reads.
func (s wordStore) putTarget(w targetWords) error {
	w.Secrets = w.Target.Auth.Secrets()
	return s.Put("targets", w.Target.Name, w)
}

// place is where the target is in the tree.
func (w *targetWords) place() place { return place{fabricOf(w.Target.Driver), w.Target.Name} }

// group returns a host group's words, nil if there are none.
func (w *targetWords) group(name string) *config.Group {
	for i := range w.Target.Groups {
		if w.Target.Groups[i].Name == name {
			return &w.Target.Groups[i]
		}
	}
	return nil
}

// luns is where the words of a LUN map are; nil without its group.
func (w *targetWords) luns(group string) *[]config.LUN {
	if group == "" {
		return &w.Target.LUNs
	}
	if g := w.group(group); g != nil {
		return &g.LUNs
	}
	return nil
}

// own is a target without its groups and LUNs.
func own(t config.Target) config.Target {
	t = t.WithDefaults()
	t.Groups, t.LUNs = nil, nil
	return t
}
