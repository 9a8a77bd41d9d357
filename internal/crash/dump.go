// Package crash is about kernels that crash: a second kernel, loaded
// beforehand into memory of its own, saves what the first one left.
//
//	dump.go   what a dump is, and those on the medium
//	save.go   in the crash kernel: the dump is written
//	load/     in the running system: the crash kernel is put in place
//	told.go   which dumps people were told of
package crash

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/shelf"
)

// Dump is what was saved of a kernel that crashed.
type Dump struct {
	Name    string    `json:"name"` // of its directory
	When    time.Time `json:"when"`
	Kernel  string    `json:"kernel"`  // release
	Slot    string    `json:"slot"`    // that ran
	Version string    `json:"version"` // of ESOS
	Reason  string    `json:"reason,omitempty"`
	// Complete says that the memory image is whole, and Size and SHA256 what
	// it is. Dropped says that it had to make room for a later one.
	Complete bool   `json:"complete"`
	Dropped  bool   `json:"dropped,omitempty"`
	Size     int64  `json:"size,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
	Messages int64  `json:"messages,omitempty"` // size of the kernel's messages
	// Error says why something is missing.
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds,omitempty"` // that saving took
}

// Files of a dump, beside shelf.CoreFile.
const (
	MessagesFile = "dmesg.txt"
	InfoFile     = "info.json"
)

// ErrNotFound says that there is no dump of a name.
var ErrNotFound = errors.New("there is no such crash dump; 'esos crash list' shows those that are there")

var validName = regexp.MustCompile(`^dump-[0-9]{8}T[0-9]{6}Z-[A-Za-z0-9._+~-]{1,100}$`)

// nameOf is the name of a dump. A release has no character that a file name
// cannot have, but what is outside is not trusted.
func nameOf(when time.Time, release string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._+~-", r):
			return r
		}
		return '_'
	}, cmp.Or(release, "unknown"))
	return shelf.DumpPrefix + when.UTC().Format(shelf.TimeFormat) + "-" + clean[:min(len(clean), 100)]
}

// List lists the dumps on a shelf, the oldest first. One whose description
// cannot be read is in it all the same.
func List(s shelf.Shelf) ([]Dump, error) {
	names, err := s.DumpNames()
	if err != nil {
		return nil, err
	}
	list := []Dump{}
	for _, name := range names {
		if !validName.MatchString(name) {
			continue // nothing of ours
		}
		list = append(list, read(filepath.Join(s.Dumps(), name)))
	}
	return list, nil
}

// Find returns one dump; ErrNotFound, wrapped, if it is not there. LATEST is
// the newest.
func Find(s shelf.Shelf, name string) (Dump, error) {
	list, err := List(s)
	if err != nil {
		return Dump{}, err
	}
	if name == Latest && len(list) > 0 {
		return list[len(list)-1], nil
	}
	if i := slices.IndexFunc(list, func(d Dump) bool { return d.Name == name }); i >= 0 {
		return list[i], nil
	}
	return Dump{}, fmt.Errorf("crash dump %s: %w", name, ErrNotFound)
}

// Latest stands for the newest dump.
const Latest = "latest"

// Delete removes a dump.
func Delete(s shelf.Shelf, name string) error {
	d, err := Find(s, name)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(s.Dumps(), d.Name)); err != nil {
		return fmt.Errorf("delete crash dump %s: %w", d.Name, err)
	}
	return host.SyncDir(s.Dumps())
}

// read reads a dump's description, and looks at what is really there.
func read(dir string) Dump {
	name := filepath.Base(dir)
	d := Dump{}
	text, err := os.ReadFile(filepath.Join(dir, InfoFile))
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		stamp, release, _ := strings.Cut(strings.TrimPrefix(name, shelf.DumpPrefix), "-")
		when, _ := time.Parse(shelf.TimeFormat, stamp) // the name's form was checked; an impossible date is the zero time
		d = Dump{When: when, Kernel: release, Error: "its description cannot be read: " + err.Error()}
		if errors.Is(err, fs.ErrNotExist) {
			d.Error = "saving it was cut short"
		}
	}
	d.Name = name
	if st, err := os.Stat(filepath.Join(dir, MessagesFile)); err == nil {
		d.Messages = st.Size()
	}
	st, err := os.Stat(filepath.Join(dir, shelf.CoreFile))
	switch {
	case err == nil && d.Complete && st.Size() != d.Size:
		d.Complete, d.Error = false, fmt.Sprintf("the memory image has %d bytes, and %d were saved", st.Size(), d.Size)
	case err != nil && d.Complete:
		d.Complete, d.Dropped = false, true
	}
	return d
}

// write writes a dump's description.
func (d Dump) write(dir string) error {
	text, err := json.MarshalIndent(d, "", "\t")
	if err == nil {
		err = renameio.WriteFile(filepath.Join(dir, InfoFile), append(text, '\n'), 0o600)
	}
	if err == nil {
		err = host.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("describe crash dump %s: %w", d.Name, err)
	}
	return nil
}
