package nvmet

import "github.com/esos-project/esos/internal/host/kernfs/words"

// store keeps the words that the kernel's tree has no place for. That an object
// has some says that it is ours: they are written before it is made.
type store struct{ words.Store }

// Kinds of words.
const (
	portWords      = "ports"
	subsystemWords = "subsystems"
	hostWords      = "hosts"
)

// objectWords are those of an object.
type objectWords struct {
	Name string `json:"name"`
	// InCapsuleSize is what was asked for: the kernel writes the transport's
	// default into the setting when it opens the port.
	InCapsuleSize int `json:"in_capsule_size,omitempty"`
	// Sizes are those that hosts were told, by namespace.
	Sizes map[int]int64 `json:"sizes,omitempty"`
}

// get reads an object's words; false if there are none, or they are damaged.
func (s store) get(kind, name string) (objectWords, bool, error) {
	w := objectWords{Name: name}
	ok, err := s.Get(kind, name, &w)
	if err != nil || !ok || w.Name != name {
		return objectWords{Name: name}, false, err
	}
	return w, true, nil
}

func (s store) put(kind string, w objectWords) error { return s.Put(kind, w.Name, w) }

// setSize keeps the size that hosts were told of a namespace; 0 forgets it.
func (s store) setSize(nqn string, nsid int, size int64) error {
	w, _, err := s.get(subsystemWords, nqn)
	if err != nil {
		return err
	}
	if w.Sizes == nil {
		w.Sizes = map[int]int64{}
	}
	w.Sizes[nsid] = size
	if size == 0 {
		delete(w.Sizes, nsid)
	}
	return s.put(subsystemWords, w)
}
