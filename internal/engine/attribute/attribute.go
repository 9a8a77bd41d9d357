// Package attribute sets an engine's own attributes: files of the kernel's
// objects that documents name as the kernel does. Which there are is found by
// looking, and what they take by asking.
package attribute

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/engine"
)

// Object is a place of the kernel's that has attributes.
type Object struct {
	// Names lists those that can be set.
	Names func() ([]string, error)
	// Read returns a value without what the kernel adds to it.
	Read  func(name string) (string, error)
	Write func(name, value string) error
	// Keep makes words last. It is called before they are needed.
	Keep func() error
	// Began is what the kernel made an attribute of an object with, if that was
	// noted; nil to take what it reads before the first change.
	Began func(name string) (string, bool)
}

// Words are what the kernel does not remember of the attributes of one object,
// or of several that are to be the same.
type Words struct {
	// Was holds the kernel's own values of attributes that a document set. One
	// that is taken out of the document goes back to it, and leaves.
	Was map[string]string `json:"was,omitempty"`
	// Reads holds how the kernel reads what it was told, by NAME=VALUE, where
	// that is not the same text: 0000000f for a mask of f.
	Reads map[string]string `json:"reads,omitempty"`
}

// Idle says whether there is nothing to set, and nothing to take back.
func (w *Words) Idle(want map[string]string) bool { return len(want) == 0 && len(w.Was) == 0 }

// Put brings an object to the attributes that were said, and those that were
// set before and are said no more to what they were. Only what reads
// differently is written. If something is refused, said becomes what is set
// all the same: what comes next must not fail for it, too.
func (w *Words) Put(o Object, said *map[string]string) error {
	if w.Idle(*said) {
		return nil
	}
	err := w.put(o, *said)
	if err == nil {
		return nil
	}
	var look error
	if *said, look = w.Observe(o, nil); look == nil {
		look = o.Keep()
	}
	return errors.Join(err, look)
}

func (w *Words) put(o Object, want map[string]string) error {
	names, err := o.Names()
	if err != nil {
		return fmt.Errorf("list its attributes: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !slices.Contains(names, name) {
			return unknown(name, names)
		}
		if err := w.set(o, name, want[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Was)) {
		if _, still := want[name]; still || !slices.Contains(names, name) {
			continue
		}
		now, err := o.Read(name)
		if err != nil {
			return fmt.Errorf("read attribute %s: %w", name, err)
		}
		if same(w.Was[name], now) {
			continue
		}
		if err := o.Write(name, w.Was[name]); err != nil {
			return fmt.Errorf("set attribute %s back to %q, as the kernel had it (it reads %q): %w", name, w.Was[name], now, err)
		}
	}
	return nil
}

// Forget drops what is not wanted any more, once all has been put.
func (w *Words) Forget(wanted func(name string) bool) (changed bool) {
	gone := func(name string) bool { return !wanted(name) }
	before := len(w.Was) + len(w.Reads)
	maps.DeleteFunc(w.Was, func(name, _ string) bool { return gone(name) })
	maps.DeleteFunc(w.Reads, func(said, _ string) bool {
		name, _, _ := strings.Cut(said, "=")
		return gone(name)
	})
	return len(w.Was)+len(w.Reads) != before
}

// set writes one attribute that reads differently.
func (w *Words) set(o Object, name, value string) error {
	now, err := o.Read(name)
	if err != nil {
		return fmt.Errorf("read attribute %s: %w (what cannot be read is no setting)", name, err)
	}
	if err := w.note(o, name, now); err != nil {
		return err
	}
	if w.means(name, value, now) {
		return nil
	}
	if err := o.Write(name, value); err != nil {
		return refused(name, value, now, err)
	}
	after, err := o.Read(name)
	switch {
	case err != nil:
		return fmt.Errorf("read attribute %s: %w", name, err)
	case same(value, after):
		return nil
	case after == now && !isSwitch(value, now) || number(value) && number(after):
		// It said yes and did not mean it. What it made of it does not stay.
		err := fmt.Errorf("set attribute %s to %q: the kernel takes it, and reads %q then; write a value that it keeps", name, value, after)
		if after != now {
			err = errors.Join(err, o.Write(name, now))
		}
		return err
	}
	if w.Reads == nil {
		w.Reads = map[string]string{}
	}
	w.Reads[name+"="+value] = after
	return o.Keep()
}

// note remembers what the kernel has before the first change.
func (w *Words) note(o Object, name, now string) error {
	if _, noted := w.Was[name]; noted {
		return nil
	}
	if o.Began != nil {
		if v, ok := o.Began(name); ok {
			now = v
		}
	}
	if w.Was == nil {
		w.Was = map[string]string{}
	}
	w.Was[name] = now
	return o.Keep()
}

// means says whether what is read is what was said.
func (w *Words) means(name, value, now string) bool {
	made, ok := w.Reads[name+"="+value]
	return same(value, now) || ok && made == now
}

// Observe reads the attributes that are declared, in the words of the document
// where it means the same, and those that should be what they were and are not.
func (w *Words) Observe(o Object, declared map[string]string) (map[string]string, error) {
	if w.Idle(declared) {
		return nil, nil
	}
	out := map[string]string{}
	for name, value := range declared {
		now, err := o.Read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, fmt.Errorf("read attribute %s: %w", name, err)
		case w.means(name, value, now):
			now = value
		}
		out[name] = now
	}
	for name, was := range w.Was {
		if _, told := declared[name]; told {
			continue
		}
		now, err := o.Read(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read attribute %s: %w", name, err)
		}
		if err == nil && !same(was, now) {
			out[name] = now
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// Merge is what several objects have that should be the same; of what they do
// not have in common the value says so.
func Merge(each []map[string]string) map[string]string {
	var out map[string]string
	for _, m := range each {
		for name, value := range m {
			if out == nil {
				out = map[string]string{}
			}
			if _, told := out[name]; !told {
				out[name] = value
			}
		}
	}
	for name, value := range out {
		if slices.ContainsFunc(each, func(m map[string]string) bool { v, ok := m[name]; return !ok || v != value }) {
			out[name] = strings.TrimSuffix(value, engine.NotEverywhere) + engine.NotEverywhere
		}
	}
	return out
}

// Bare returns attributes without the mark of those that are not the same
// everywhere, as the undoing of a change puts them.
func Bare(attributes map[string]string) map[string]string {
	out := maps.Clone(attributes)
	for name, value := range out {
		out[name] = strings.TrimSuffix(value, engine.NotEverywhere)
	}
	return out
}

// same says whether two values mean the same to a kernel, which takes numbers in
// any base and shows them in one, and shows masks with zeroes before them.
func same(said, now string) bool {
	if said == now {
		return true
	}
	if mask := strings.TrimLeft(now, "0,"); mask != now && mask != "" && mask[0] != 'x' {
		return strings.EqualFold(strings.TrimLeft(said, "0,"), mask)
	}
	m, errSaid := strconv.ParseUint(said, 0, 64)
	n, errNow := strconv.ParseUint(now, 0, 64)
	return errSaid == nil && errNow == nil && m == n
}

// isSwitch says whether a value is a word for one (kstrtobool), which reads 0
// or 1, or Y or N.
func isSwitch(value, now string) bool {
	switch strings.ToLower(value) {
	case "y", "yes", "on", "t", "true":
		return slices.Contains([]string{"1", "Y", "Yes"}, now)
	case "n", "no", "off", "f", "false":
		return slices.Contains([]string{"0", "N", "No"}, now)
	}
	return false
}

func number(text string) bool {
	_, err := strconv.ParseInt(text, 0, 64)
	return err == nil
}
