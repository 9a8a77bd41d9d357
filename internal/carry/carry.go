// Package carry is what moving in from another target, and out to it, have in
// common. A format of a file (scst.conf, saveconfig.json) is a package below
// it: it reads the file as a document and writes a document as the file, and
// lists what one of the two cannot say.
package carry

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// Import is what a file says, as a document: devices, portals, targets and
// device groups, and nothing of the machine.
type Import struct {
	Document *config.Document
	Left     []Left // what the document does not say, in the order of the file
	// AnyPortal is set when the file says nothing of the addresses that its
	// targets are reached by: the document then has a portal for all of them.
	AnyPortal bool
}

// Export is a document as a file.
type Export struct {
	Text []byte
	Left []Left // what the format cannot say, in the order of the document
}

// Options go with writing a file.
type Options struct {
	DataDir string // what relative paths of a document are below
}

// Left is one thing that was not carried over.
type Left struct {
	Line   int    `json:"line,omitempty"` // of the file that was read, from 1
	Column int    `json:"column,omitempty"`
	What   string `json:"what"` // like "attribute threads_num of device disk1"
	Why    string `json:"why"`
	// Missed is set when initiators notice: they lose a disk, see another one,
	// or are let in or kept out differently. The rest is tuning.
	Missed bool `json:"missed,omitempty"`
}

// String is "line 12: attribute threads_num of device disk1: ESOS has no such
// setting".
func (l Left) String() string {
	var b strings.Builder
	if l.Line > 0 {
		b.WriteString("line " + strconv.Itoa(l.Line) + ": ")
	}
	b.WriteString(l.What + ": " + l.Why)
	return b.String()
}

// Place is where something stands in a file.
type Place struct{ Line, Column int }

// PlaceOf is the place of a byte in a text; the end of the text when offset is
// beyond it. Columns count characters.
func PlaceOf(text []byte, offset int) Place {
	before := string(text[:max(0, min(offset, len(text)))])
	line := 1 + strings.Count(before, "\n")
	last := before[strings.LastIndexByte(before, '\n')+1:]
	return Place{line, 1 + len([]rune(last))}
}

// Refuse makes the error of a file that cannot be read.
func Refuse(file string, at Place, message string) error {
	return config.Problems{{File: file, Line: at.Line, Column: at.Column, Message: message}}
}

// Found is a document in the making: what was left and where its parts came
// from.
type Found struct {
	Doc   *config.Document
	Left  []Left
	Names map[string]*Names // by what they name
	// AnyPortal is as in Import.
	AnyPortal bool
	where     map[string]Place // by path in the document
}

// NewFound begins a document.
func NewFound() *Found {
	return &Found{Doc: &config.Document{Version: config.Version, Name: "imported"},
		Names: map[string]*Names{}, where: map[string]Place{}}
}

// Leave notes what is not carried and only tuning.
func (f *Found) Leave(at Place, what, why string) {
	f.Left = append(f.Left, Left{Line: at.Line, Column: at.Column, What: what, Why: why})
}

// Miss notes what is not carried and initiators notice.
func (f *Found) Miss(at Place, what, why string) {
	f.Left = append(f.Left, Left{Line: at.Line, Column: at.Column, What: what, Why: why, Missed: true})
}

// At notes where a part of the document came from, by its path.
func (f *Found) At(path string, at Place) { f.where[path] = at }

// Name makes a name that documents allow and that none of its kind has, and
// notes when it is not the one that was wished.
func (f *Found) Name(at Place, kind, wish string) string {
	if f.Names[kind] == nil {
		f.Names[kind] = &Names{}
	}
	name := f.Names[kind].Make(wish)
	if name != wish {
		f.Leave(at, "name "+strconv.Quote(Clip(wish))+" ("+kind+")", "it is "+name+" here: names are unique, of letters, digits, \".\", \"_\" and \"-\", and begin with a letter, a digit or \"_\"")
	}
	return name
}

// Import checks the document and returns it. What a reader let through that a
// document must not have is an error with its place.
func (f *Found) Import(file string) (*Import, error) {
	var problems config.Problems
	errors.As(f.Doc.Validate().Err(), &problems)
	for i, p := range problems {
		at := f.place(p.Path)
		problems[i].File, problems[i].Line, problems[i].Column = file, at.Line, at.Column
	}
	if len(problems) > 0 {
		return nil, problems
	}
	slices.SortStableFunc(f.Left, func(a, b Left) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Import{Document: f.Doc, Left: f.Left, AnyPortal: f.AnyPortal}, nil
}

// place finds a path, or the nearest that it is below.
func (f *Found) place(path string) Place {
	for {
		if at, ok := f.where[path]; ok {
			return at
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return Place{1, 1}
		}
		path = path[:i]
	}
}

// Clip shortens text from a file for a message.
func Clip(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}
