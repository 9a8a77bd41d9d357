package appliance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/esos-project/esos/internal/config"
)

// Revision is a document that was applied: its number and who made it. Number
// 0 is the empty document before the first one.
type Revision struct {
	Number int       `json:"number"`
	When   time.Time `json:"when"`
	Who    string    `json:"who"`
	Why    string    `json:"why,omitempty"`
	ETag   string    `json:"etag"` // hash of the document's text
}

// ErrNoRevision is wrapped when a revision is not kept.
var ErrNoRevision = errors.New("no such revision")

// etag is the hash of a document's text.
func etag(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// header begins the first line of a revision's file; JSON of the Revision
// follows. To YAML it is a comment, so the file can be applied as it is.
const header = "# esos-revision "

// store keeps revisions as numbered files. A file has its name only when it is
// complete and durable, so the highest number is what is in force.
type store struct {
	dir  string
	disk disk
	keep int
	mu   sync.Mutex
	kept []Revision // oldest first
}

// openStore reads the directory and returns the newest revision that is whole;
// damaged tells of newer ones that are not. doc is nil if there is none.
func openStore(dir string, d disk, keep int) (s *store, doc *config.Document, rev Revision, damaged []error, err error) {
	if err := d.MkdirAll(dir); err != nil {
		return nil, nil, rev, nil, fmt.Errorf("open revisions: %w", err)
	}
	names, err := d.List(dir)
	if err != nil {
		return nil, nil, rev, nil, fmt.Errorf("open revisions: %w", err)
	}
	s = &store{dir: dir, disk: d, keep: keep}
	slices.Sort(names)
	for _, name := range names {
		base, isRevision := strings.CutSuffix(name, ".yaml")
		number, err := strconv.Atoi(base)
		switch {
		case strings.HasPrefix(name, tempPrefix):
			// A crash left it; it was never in force.
			_ = d.Remove(filepath.Join(dir, name))
		case isRevision && err == nil && number > 0:
			s.kept = append(s.kept, Revision{Number: number})
		}
	}
	slices.SortFunc(s.kept, func(a, b Revision) int { return a.Number - b.Number })
	for i := range s.kept {
		if head, err := s.head(s.kept[i].Number); err == nil {
			s.kept[i] = head
		}
	}
	for i := len(s.kept) - 1; i >= 0; i-- {
		doc, rev, err := s.read(s.kept[i].Number)
		if err == nil {
			return s, doc, rev, damaged, nil
		}
		damaged = append(damaged, fmt.Errorf("revision %d is damaged and passed over: %w", s.kept[i].Number, err))
	}
	if len(damaged) > 0 {
		// Serving nothing as if nothing had been declared would be worse.
		return nil, nil, rev, nil, fmt.Errorf("open revisions: none in %s is whole: %w", dir, errors.Join(damaged...))
	}
	return s, nil, rev, nil, nil
}

func (s *store) path(number int) string {
	return filepath.Join(s.dir, fmt.Sprintf("%06d.yaml", number))
}

// list returns the revisions that are kept, newest first.
func (s *store) list() ([]Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.kept)
	slices.Reverse(list)
	return list, nil
}

// head reads a revision's first line.
func (s *store) head(number int) (Revision, error) {
	text, err := s.disk.ReadFile(s.path(number))
	if err != nil {
		return Revision{}, err
	}
	rev, _, err := split(text)
	return rev, err
}

// split takes a revision's file apart and checks it against its hash.
func split(text []byte) (rev Revision, body []byte, err error) {
	line, rest, _ := strings.Cut(string(text), "\n")
	meta, ok := strings.CutPrefix(line, header)
	if !ok {
		return rev, nil, errors.New("its first line is not that of a revision")
	}
	if err := json.Unmarshal([]byte(meta), &rev); err != nil {
		return rev, nil, fmt.Errorf("its first line cannot be read: %w", err)
	}
	if etag([]byte(rest)) != rev.ETag {
		return rev, nil, errors.New("its text was changed after it was written")
	}
	return rev, []byte(rest), nil
}

// read returns a revision's document.
func (s *store) read(number int) (*config.Document, Revision, error) {
	path := s.path(number)
	text, err := s.disk.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, Revision{}, fmt.Errorf("revision %d: %w", number, ErrNoRevision)
	}
	if err != nil {
		return nil, Revision{}, fmt.Errorf("read revision %d: %w", number, err)
	}
	rev, body, err := split(text)
	if err != nil {
		return nil, rev, fmt.Errorf("read revision %d: %w", number, err)
	}
	doc, err := config.Decode(path, body)
	if err != nil {
		return nil, rev, fmt.Errorf("read revision %d: %w", number, err)
	}
	return doc, rev, nil
}

// pendingRevision is a revision that is on disk under another name.
type pendingRevision struct {
	store *store
	rev   Revision
	temp  string
}

// prepare writes the next revision under a temporary name, durably.
func (s *store) prepare(text []byte, rev Revision) (*pendingRevision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rev.Number = 1
	if n := len(s.kept); n > 0 {
		rev.Number = s.kept[n-1].Number + 1
	}
	rev.When, rev.ETag = time.Now().UTC().Truncate(time.Millisecond), etag(text)
	meta, err := json.Marshal(rev)
	if err != nil {
		return nil, err
	}
	temp, err := s.disk.WriteTemp(s.dir, slices.Concat([]byte(header), meta, []byte("\n"), text))
	if err != nil {
		return nil, err
	}
	return &pendingRevision{store: s, rev: rev, temp: temp}, nil
}

// commit gives the revision its name: from now on it is in force. If that
// cannot be made durable, it is taken back.
func (p *pendingRevision) commit() (Revision, error) {
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	path := s.path(p.rev.Number)
	if err := s.disk.Rename(p.temp, path); err != nil {
		return Revision{}, errors.Join(fmt.Errorf("keep revision %d: %w", p.rev.Number, err), s.disk.Remove(p.temp))
	}
	if err := s.disk.SyncDir(s.dir); err != nil {
		return Revision{}, errors.Join(fmt.Errorf("keep revision %d: %w", p.rev.Number, err), s.disk.Remove(path))
	}
	s.kept = append(s.kept, p.rev)
	for len(s.kept) > s.keep {
		// One that stays does no harm: it is dropped the next time.
		if err := s.disk.Remove(s.path(s.kept[0].Number)); err != nil {
			break
		}
		s.kept = s.kept[1:]
	}
	return p.rev, nil
}

// abandon removes what prepare wrote; openStore would, too.
func (p *pendingRevision) abandon() { _ = p.store.disk.Remove(p.temp) }
