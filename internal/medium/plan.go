package medium

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/medium/grub"
)

// Recipe is what media of one build have in common. It is kept beside the
// slot (RecipeFile), also on an ISO, so that the installer makes what the
// builder would.
type Recipe struct {
	// Identity is what the UUIDs are derived from.
	Identity Identity `json:"identity"`
	// Time is that of all files and file systems: SOURCE_DATE_EPOCH.
	Time  int64 `json:"time"`
	Sizes Sizes `json:"sizes"`

	// Kernel arguments beside slot=, esos_medium= and the consoles: of all
	// entries, of production entries, and of debug entries. No
	// DebugArguments are grub.DebugArguments.
	Arguments           string `json:"arguments,omitempty"`
	ProductionArguments string `json:"production_arguments,omitempty"`
	DebugArguments      string `json:"debug_arguments,omitempty"`
}

// RecipeFile is a recipe's name in a build's output directory and on an ISO.
const RecipeFile = "medium.json"

// Save writes the recipe to a file.
func (r Recipe) Save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = renameio.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("save how the medium is made: %w", err)
	}
	return nil
}

// LoadRecipe reads what Save wrote.
func LoadRecipe(path string) (Recipe, error) {
	var r Recipe
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err == nil {
		err = r.Sizes.Check()
	}
	if err != nil {
		return r, fmt.Errorf("read how the medium is made from %s: %w", path, err)
	}
	return r, nil
}

// Plan is a medium to build.
type Plan struct {
	Recipe
	Tools Tools
	Slot  string // directory of the slot's files
	GRUB  string // directory of grub.MakeImages
	Seed  string // directory of first settings, laid over the root until something is saved; "" for none

	// Progress, if there is one, hears what is being done and how many of how
	// many bytes are done.
	Progress func(step string, done, total int64)
}

// MadeOfFile is the signature of the slot that a medium was made of, on
// esos_root. The slots themselves change with upgrades; by this an installer
// knows years later what it made.
const MadeOfFile = "made-of.sig"

const signatureFile = "manifest.sig" // a slot's

// SeedDir is where Plan.Seed's files are in esos_conf.
const SeedDir = "seed"

// Files of a slot, by the partition that they are in.
var (
	bootFiles = []string{grub.Kernel, grub.Initrd}
	rootFiles = []string{"root.squashfs", "manifest.json", signatureFile}
	// debugFiles are there only if the debug entry has a kernel of its own.
	debugFiles = []string{grub.DebugKernel, grub.DebugInitrd}
)

// SlotFiles are the names that a slot's directory must have.
func SlotFiles() []string { return append(append([]string{}, bootFiles...), rootFiles...) }

// MoreFiles are those of a slot's directory that a slot may have beside
// SlotFiles, on esos_root.
func MoreFiles(slot string) ([]string, error) {
	_, err := os.Stat(filepath.Join(slot, grub.MenuFile))
	switch {
	case err == nil:
		return []string{grub.MenuFile}, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	}
	return nil, fmt.Errorf("look at the slot's files: %w", err)
}

// rootFiles are those that go to esos_root.
func (p Plan) rootFiles() ([]string, error) {
	more, err := MoreFiles(p.Slot)
	return append(slices.Clone(rootFiles), more...), err
}

// check looks at everything that could stop a build halfway.
func (p Plan) check() error {
	if p.Tools == nil {
		return errors.New("build a medium: no tools were given")
	}
	if p.Identity == "" {
		return errors.New("build a medium: it has no identity")
	}
	if err := p.Sizes.Check(); err != nil {
		return err
	}
	var boot, root int64
	for _, name := range SlotFiles() {
		st, err := os.Stat(filepath.Join(p.Slot, name))
		if err != nil {
			return fmt.Errorf("build a medium: the slot's file %s: %w", name, err)
		}
		if st.Size() == 0 {
			return fmt.Errorf("build a medium: the slot's file %s is empty", filepath.Join(p.Slot, name))
		}
		if name == grub.Kernel || name == grub.Initrd {
			boot += st.Size()
		} else {
			root += st.Size()
		}
	}
	debug, err := p.debugFiles()
	if err != nil {
		return err
	}
	for _, name := range debug {
		st, err := os.Stat(filepath.Join(p.Slot, name))
		if err != nil {
			return fmt.Errorf("build a medium: %w", err)
		}
		boot += st.Size()
	}
	slots := int64(len(grub.Slots()))
	for _, part := range []struct {
		label           string
		need, size, own int64
	}{
		{LabelBoot, slots * boot, p.Sizes.Boot, 8 * mib},
		{LabelRoot, slots * root, p.Sizes.Root, 32 * mib}, // journal and tables
	} {
		if part.need+part.own > part.size {
			return fmt.Errorf("build a medium: partition %s needs %d MiB for %d slots and has %d MiB: make it larger",
				part.label, (part.need+part.own)/mib+1, slots, part.size/mib)
		}
	}
	return nil
}

// debugFiles are the debug kernel's, all or none.
func (p Plan) debugFiles() ([]string, error) {
	var found []string
	for _, name := range debugFiles {
		_, err := os.Stat(filepath.Join(p.Slot, name))
		switch {
		case err == nil:
			found = append(found, name)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("build a medium: %w", err)
		}
	}
	if len(found) == 1 {
		return nil, fmt.Errorf("build a medium: the slot has %s, but not the other of %v", found[0], debugFiles)
	}
	return found, nil
}

func (p Plan) time() time.Time { return time.Unix(p.Time, 0).UTC() }

func (p Plan) progress(step string, done, total int64) {
	if p.Progress != nil {
		p.Progress(step, done, total)
	}
}

// Menu is GRUB's of the media.
func (r Recipe) Menu() grub.Menu {
	m := grub.Menu{Arguments: r.Arguments, Production: r.ProductionArguments, DebugArguments: r.DebugArguments}
	if m.DebugArguments == "" {
		m.DebugArguments = joined(grub.DebugArguments())
	}
	return m
}
