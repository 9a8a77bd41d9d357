package pick

import (
	"slices"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/tui/frame"
)

// Disks are the block devices to choose from in a form, by what people call
// them: a document's paths are too long to be shown side by side.
type Disks struct {
	Options []frame.Option
	path    map[string]string
	size    map[string]int64
}

// NewDisks are those of Blocks, with the names of people as values.
func NewDisks(s v1.StorageState) *Disks {
	k := &Disks{path: map[string]string{}, size: map[string]int64{}}
	for _, o := range Blocks(s) {
		k.path[o.Cells[0]] = o.Value
		o.Value = o.Cells[0]
		k.Options = append(k.Options, o)
	}
	for _, d := range slices.Concat(s.Disks, s.Blocks) {
		k.size[d.ID] = d.Size
	}
	return k
}

// Add adds an option that Blocks does not have as one that can be chosen.
func (k *Disks) Add(path string, o frame.Option) {
	k.Options = slices.DeleteFunc(k.Options, func(have frame.Option) bool { return have.Value == o.Value })
	k.path[o.Value] = path
	k.Options = slices.Insert(k.Options, 0, o)
}

// Refuse rules one out.
func (k *Disks) Refuse(id, why string) {
	for i := range k.Options {
		if k.Options[i].Value == id {
			k.Options[i].Why = why
		}
	}
}

// Paths are the names by which a document should call them.
func (k *Disks) Paths(ids ...string) []string {
	var paths []string
	for _, id := range ids {
		if p := k.path[id]; p != "" {
			paths = append(paths, p)
		}
	}
	return paths
}

// Path is that of one; "" of none.
func (k *Disks) Path(id string) string { return k.path[id] }

// Sizes are their sizes in bytes.
func (k *Disks) Sizes(ids []string) []int64 {
	var all []int64
	for _, id := range ids {
		all = append(all, k.size[id])
	}
	return all
}

// Without are the options with those that were chosen elsewhere in the form
// ruled out.
func (k *Disks) Without(why string, chosen ...string) []frame.Option {
	options := slices.Clone(k.Options)
	for i := range options {
		if slices.Contains(chosen, options[i].Value) {
			options[i].Why = why
		}
	}
	return options
}
