package persist

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
)

// slotsName is the file that says which generation each slot last ran with.
const slotsName = "slots"

// maxSlots bounds what is believed of that file.
const maxSlots = 16

// Slots says for each slot the number of the generation that it last ran with.
// A machine that falls back after a failed upgrade gets the settings of its
// older system, and not what the newer one made of them.
type Slots map[string]int

// readSlots reads what a shelf remembers. A memory that is damaged is none: it
// only ever says what is preferred.
func readSlots(dir string) (Slots, error) {
	text, err := readSmall(filepath.Join(dir, slotsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var s Slots
	if err == nil {
		err = unseal(text, &s)
	}
	if err == nil && len(s) > maxSlots {
		err = fmt.Errorf("it names %d slots", len(s))
	}
	if err != nil {
		return nil, fmt.Errorf("read which settings each slot last ran with: %w", err)
	}
	return s, nil
}

// remember notes that a slot runs with a generation, if that is new.
func (w *writer) remember(slot string, number int) error {
	if slot == "" || w.slots[slot] == number {
		return nil
	}
	next := Slots{slot: number}
	for name, n := range w.slots {
		// Of what is not there any more nothing is to be remembered.
		if name != slot && slices.Contains(w.numbers, n) && len(next) < maxSlots {
			next[name] = n
		}
	}
	if err := w.small(filepath.Join(w.dir, slotsName), next); err != nil {
		return fmt.Errorf("note which settings slot %s runs with: %w", slot, err)
	}
	w.slots = next
	return w.disk.SyncDir(w.dir)
}

// remembered says whether a slot's way back needs a generation.
func (w *writer) remembered(number int) bool {
	for _, n := range w.slots {
		if n == number {
			return true
		}
	}
	return false
}

// Prefer says which generation is wanted rather than the newest good one. The
// zero Prefer wants that.
type Prefer struct {
	// Slot asks for the generation that this slot last ran with.
	Slot string
}

// preferred puts the wanted generation first. It says why it cannot.
func (s *shelf) preferred(p Prefer) *Skipped {
	if p.Slot == "" {
		return nil
	}
	name := "settings of slot " + p.Slot
	slots, err := readSlots(s.dir)
	if err != nil {
		return &Skipped{Name: name, Why: err.Error()}
	}
	number := slots[p.Slot]
	i := slices.IndexFunc(s.ordered, func(g Generation) bool { return g.Number == number })
	switch {
	case number == 0:
		return &Skipped{Name: name, Why: "nobody noted which these are; the newest good ones are taken"}
	case i < 0:
		return &Skipped{Name: name, Why: fmt.Sprintf("%s is not there, or is damaged; the newest good ones are taken", nameOf(number))}
	}
	g := s.ordered[i]
	s.ordered = slices.Insert(slices.Delete(s.ordered, i, i+1), 0, g)
	return nil
}

// Listed is a generation as Inspect shows it.
type Listed struct {
	Generation
	Current bool     `json:"current,omitempty"` // the next boot takes it
	Slots   []string `json:"slots,omitempty"`   // that last ran with it
	Damage  string   `json:"damage,omitempty"`  // why it cannot be brought back
}

// Inspect returns the generations in dir, newest first, each checked to the
// last byte.
func Inspect(dir string) ([]Listed, error) {
	s, err := openShelf(dir)
	if err != nil {
		return nil, err
	}
	slots, _ := readSlots(dir) // it is a hint only
	var list []Listed
	taken := false
	for _, g := range s.ordered {
		l := Listed{Generation: g}
		if err := s.verify(g); err != nil {
			l.Damage = err.Error()
		} else if !taken {
			taken, l.Current = true, true
		}
		for name, n := range slots {
			if n == g.Number {
				l.Slots = append(l.Slots, name)
			}
		}
		slices.Sort(l.Slots)
		list = append(list, l)
	}
	for _, b := range s.broken {
		list = append(list, Listed{Generation: Generation{Number: b.generation}, Damage: b.Why})
	}
	slices.SortStableFunc(list, func(a, b Listed) int { return b.Number - a.Number })
	return list, nil
}

// Bring puts a copy of an older generation in force, as a new one: the next
// boot takes it. Nothing of what is there is lost.
func Bring(dir string, number int, o Options) (Generation, error) {
	g, err := bring(medium{}, dir, number, o)
	if err != nil {
		return Generation{}, fmt.Errorf("bring back %s: %w", nameOf(number), err)
	}
	return g, nil
}

// ErrNoGeneration is wrapped when there is no generation of a number.
var ErrNoGeneration = errors.New("there is no such generation; 'esos config generations' lists them")

func bring(d disk, dir string, number int, o Options) (Generation, error) {
	w, err := openWriter(d, dir)
	if err != nil {
		return Generation{}, err
	}
	i := slices.IndexFunc(w.ordered, func(g Generation) bool { return g.Number == number })
	if i < 0 {
		return Generation{}, ErrNoGeneration
	}
	g := w.ordered[i]
	f, err := w.openArchive(g)
	if err != nil {
		return Generation{}, err
	}
	defer f.Close()
	return w.again(f, g, o)
}

// copyChecked copies a generation's archive, and says if it is another than
// the record's.
func (g Generation) copyChecked(to io.Writer, archive io.Reader) error {
	copied := &counted{hash: sha256.New(), next: to}
	if _, err := io.Copy(copied, archive); err != nil {
		return err
	}
	if copied.n != g.Archive || copied.sum() != g.SHA256 {
		return errors.New("its archive does not have the digest of its record: it is damaged")
	}
	return nil
}

// again writes an archive as a new generation, in force.
func (w *writer) again(archive io.Reader, g Generation, o Options) (Generation, error) {
	g.Reason = o.Reason
	g, _, err := w.write(g, func(temp string) (Generation, error) {
		return g, w.disk.Write(temp, func(out io.Writer) error { return g.copyChecked(out, archive) })
	})
	if err != nil {
		return Generation{}, err
	}
	keep := o.Keep
	if keep < 1 {
		keep = DefaultKeep
	}
	_, err = w.prune(keep)
	return g, err
}
