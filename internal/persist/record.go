package persist

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	generationsDir = "generations"
	currentName    = "current"
	archiveSuffix  = ".tar.zst"
	recordSuffix   = ".json"
	tempPrefix     = ".new-" // begins the names of files that are not complete
	maxRecord      = 64 << 10
	maxNumber      = 1 << 40
)

// sealed is a JSON text that carries its own digest: a flipped bit anywhere in
// it is found.
type sealed struct {
	Content json.RawMessage `json:"content"`
	SHA256  string          `json:"sha256"` // of the bytes of content, as they stand
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func seal(v any) ([]byte, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(sealed{content, digestOf(content)})
	return append(text, '\n'), err
}

func unseal(text []byte, v any) error {
	var s sealed
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	if digestOf(s.Content) != s.SHA256 {
		return errors.New("its bytes do not have its digest: it is damaged")
	}
	if err := json.Unmarshal(s.Content, v); err != nil {
		return fmt.Errorf("its content cannot be read: %w", err)
	}
	return nil
}

// decodeRecord reads the record of the generation with a number.
func decodeRecord(text []byte, number int) (Generation, error) {
	var g Generation
	if err := unseal(text, &g); err != nil {
		return Generation{}, err
	}
	switch {
	case g.Number != number:
		return Generation{}, fmt.Errorf("it is the record of generation %d", g.Number)
	case g.Size < 0 || g.Archive < 0 || g.Files < 0:
		return Generation{}, errors.New("it has negative sizes")
	}
	return g, nil
}

// current is what the file of that name says.
type current struct {
	Number int    `json:"number"`
	SHA256 string `json:"sha256"`
}

// shelf is what there is in a directory of generations.
type shelf struct {
	dir     string
	ordered []Generation // with a record that can be read, the best first
	broken  []Skipped    // those without, newest first
	numbers []int        // all that have a file, oldest first
	current int          // 0 if that is not known
}

func (s shelf) path(number int, suffix string) string {
	return filepath.Join(s.dir, generationsDir, fmt.Sprintf("%08d%s", number, suffix))
}

func nameOf(number int) string { return fmt.Sprintf("generation %d", number) }

// openShelf reads the directory. One that is empty is no error.
func openShelf(dir string) (shelf, error) {
	s := shelf{dir: dir}
	entries, err := os.ReadDir(filepath.Join(dir, generationsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("list the generations in %s: %w", dir, err)
	}
	for _, e := range entries {
		if number, _, ok := parseName(e.Name()); ok && !slices.Contains(s.numbers, number) {
			s.numbers = append(s.numbers, number)
		}
	}
	slices.Sort(s.numbers)
	for _, number := range slices.Backward(s.numbers) {
		text, err := readSmall(s.path(number, recordSuffix))
		var g Generation
		if err == nil {
			g, err = decodeRecord(text, number)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.broken = append(s.broken, skipped(number, "it was not completed: it has no record"))
		case err != nil:
			s.broken = append(s.broken, skipped(number, "record: "+err.Error()))
		default:
			s.ordered = append(s.ordered, g)
		}
	}
	s.order()
	return s, nil
}

// order puts the generation in force first, then those before it, newest
// first. What is newer than that was never put in force: it comes last.
func (s *shelf) order() {
	var c current
	text, err := readSmall(filepath.Join(s.dir, currentName))
	if err != nil || unseal(text, &c) != nil {
		return // newest first is the best guess
	}
	if !slices.ContainsFunc(s.ordered, func(g Generation) bool { return g.Number <= c.Number }) {
		return
	}
	s.current = c.Number
	late := func(g Generation) int {
		if g.Number > c.Number {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(s.ordered, func(a, b Generation) int {
		return cmp.Or(late(a)-late(b), b.Number-a.Number)
	})
}

// parseName takes the name of a generation's file apart.
func parseName(name string) (number int, suffix string, ok bool) {
	for _, suffix := range []string{archiveSuffix, recordSuffix} {
		if base, found := strings.CutSuffix(name, suffix); found && len(base) >= 8 {
			n, err := strconv.Atoi(base)
			return n, suffix, err == nil && n > 0 && n < maxNumber && fmt.Sprintf("%08d", n) == base
		}
	}
	return 0, "", false
}

// readSmall reads a file that has to be small.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err == nil && len(text) > maxRecord {
		err = fmt.Errorf("%s is larger than any record", path)
	}
	return text, err
}

// verify compares a generation's archive with its record.
func (s shelf) verify(g Generation) error {
	f, err := s.openArchive(g)
	if err != nil {
		return err
	}
	return f.Close()
}

// openArchive opens an archive that has the digest of its record, at its
// beginning.
func (s shelf) openArchive(g Generation) (*os.File, error) {
	f, err := os.Open(s.path(g.Number, archiveSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("its archive is missing")
	}
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	n, err := io.Copy(hash, f)
	switch {
	case err != nil:
		err = fmt.Errorf("read its archive: %w", err)
	case n != g.Archive:
		err = fmt.Errorf("its archive has %d bytes, not the %d of its record: it is torn", n, g.Archive)
	case hex.EncodeToString(hash.Sum(nil)) != g.SHA256:
		err = errors.New("its archive does not have the digest of its record: it is damaged")
	default:
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// List returns the generations in dir whose record can be read, the one in
// force first, and the others with what is wrong with them. It does not read
// the archives.
func List(dir string) ([]Generation, []Skipped, error) {
	s, err := openShelf(dir)
	return s.ordered, s.broken, err
}
