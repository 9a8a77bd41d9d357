package saveconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/esos-project/esos/internal/carry"
)

// What a file may have at most: it may come from a stranger.
const (
	maxText  = 64 << 20
	maxDepth = 32 // the format has seven levels
)

// node is a value of the file with its place, so that what is wrong or left
// can be shown there.
type node struct {
	at     carry.Place
	what   string // object, list, string, number, flag or null
	text   string // of a string or number
	flag   bool
	fields []field
	items  []*node
}

type field struct {
	key   string
	at    carry.Place
	value *node
	taken bool
}

// parse reads a file strictly: a key must not stand twice in one object.
func parse(file string, text []byte) (*node, error) {
	if len(text) > maxText {
		return nil, carry.Refuse(file, carry.Place{Line: 1, Column: 1}, "the file is larger than 64 MiB: this is no saveconfig.json")
	}
	p := &parser{file: file, text: text, lines: []int{0}, d: json.NewDecoder(bytes.NewReader(text))}
	p.d.UseNumber()
	for i, c := range text {
		if c == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	if !utf8.Valid(text) {
		return nil, carry.Refuse(file, carry.Place{Line: 1, Column: 1}, "the file is no text in UTF-8")
	}
	// The tokens of a decoder are not all of JSON's grammar.
	var whole json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		return nil, p.wrong(err)
	}
	return p.value(0)
}

type parser struct {
	file  string
	text  []byte
	lines []int // offsets at which lines begin
	d     *json.Decoder
}

func (p *parser) wrong(err error) error {
	offset := len(p.text)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && !strings.Contains(err.Error(), "unexpected end") {
		offset = int(syntax.Offset) - 1
	}
	return carry.Refuse(p.file, carry.PlaceOf(p.text, offset), "no JSON: "+err.Error())
}

// next returns a token and where it begins.
func (p *parser) next() (json.Token, carry.Place, error) {
	from := int(p.d.InputOffset())
	for from < len(p.text) && strings.ContainsRune(" \t\r\n,:", rune(p.text[from])) {
		from++
	}
	line, exact := slices.BinarySearch(p.lines, from)
	if !exact {
		line--
	}
	at := carry.Place{Line: line + 1, Column: 1 + utf8.RuneCount(p.text[p.lines[line]:from])}
	t, err := p.d.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return t, at, err
}

func (p *parser) value(depth int) (*node, error) {
	t, at, err := p.next()
	if err != nil {
		return nil, p.wrong(err)
	}
	n := &node{at: at}
	switch t := t.(type) {
	case json.Delim:
		if depth >= maxDepth {
			return nil, carry.Refuse(p.file, at, "the values are nested too deeply")
		}
		if t == '[' {
			n.what = "list"
			err = p.list(n, depth)
		} else {
			n.what = "object"
			err = p.object(n, depth)
		}
		return n, err
	case string:
		n.what, n.text = "string", t
	case json.Number:
		n.what, n.text = "number", t.String()
	case bool:
		n.what, n.flag = "flag", t
	default:
		n.what = "null"
	}
	return n, nil
}

func (p *parser) list(n *node, depth int) error {
	for p.d.More() {
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	_, _, err := p.next()
	return err
}

func (p *parser) object(n *node, depth int) error {
	seen := map[string]bool{}
	for p.d.More() {
		t, at, err := p.next()
		if err != nil {
			return p.wrong(err)
		}
		key, _ := t.(string) // a decoder lets nothing else be a key
		if seen[key] {
			return carry.Refuse(p.file, at, fmt.Sprintf("%q stands twice in this object", key))
		}
		seen[key] = true
		value, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.fields = append(n.fields, field{key: key, at: at, value: value})
	}
	_, _, err := p.next()
	return err
}
