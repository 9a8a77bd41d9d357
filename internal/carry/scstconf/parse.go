package scstconf

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/esos-project/esos/internal/carry"
)

// What a file may have at most: it may come from a stranger.
const (
	maxText  = 16 << 20
	maxDepth = 16 // the grammar has five levels
)

// statement is a line: an attribute, or a section with its lines.
type statement struct {
	words []word
	open  bool // it has braces
	lines []*statement
}

type word struct {
	text string
	at   carry.Place
}

func (s *statement) at() carry.Place { return s.words[0].at }
func (s *statement) key() string     { return s.words[0].text }

// arg is the n-th argument, "" if there is none.
func (s *statement) arg(n int) string {
	if n < len(s.words) {
		return s.words[n].text
	}
	return ""
}

// value is what follows an attribute's name. It should be one word, in quotes
// if it has blanks, but files that were written by hand forget them.
func (s *statement) value() string {
	words := make([]string, 0, len(s.words))
	for _, w := range s.words[1:] {
		words = append(words, w.text)
	}
	return strings.Join(words, " ")
}

// valueAt is the place of the value, or of the name if there is none.
func (s *statement) valueAt() carry.Place { return s.words[min(1, len(s.words)-1)].at }

// parser reads a file line by line, as scst.conf(5) has it.
type parser struct {
	file    string
	found   *carry.Found
	open    []*statement // the sections that are open, outermost first
	top     []*statement
	pending *statement
}

func parse(file string, text []byte, found *carry.Found) ([]*statement, error) {
	if len(text) > maxText {
		return nil, carry.Refuse(file, carry.Place{Line: 1, Column: 1}, "the file is larger than 16 MiB: this is no scst.conf")
	}
	p := &parser{file: file, found: found}
	for i, line := range strings.Split(string(text), "\n") {
		if err := p.line(i+1, strings.TrimSuffix(line, "\r")); err != nil {
			return nil, err
		}
	}
	if n := len(p.open); n > 0 {
		s := p.open[n-1]
		return nil, p.refuse(s.at(), "the section %s is not closed: its } is missing", head(s))
	}
	return p.top, nil
}

func (p *parser) refuse(at carry.Place, format string, args ...any) error {
	return carry.Refuse(p.file, at, fmt.Sprintf(format, args...))
}

// head is how a section begins, for messages. The value of what is none may be
// a secret.
func head(s *statement) string {
	text := s.key()
	if _, section := keyword(text); section && len(s.words) > 1 {
		text += " " + s.words[1].text
	}
	return carry.Clip(text)
}

// line reads one line.
func (p *parser) line(number int, text string) error {
	if !utf8.ValidString(text) {
		return p.refuse(carry.Place{Line: number, Column: 1}, "the line is no text in UTF-8")
	}
	chars := p.uncomment(number, []rune(text))
	p.pending = nil
	for i := 0; i < len(chars); {
		at := carry.Place{Line: number, Column: i + 1}
		switch c := chars[i]; {
		case unicode.IsSpace(c):
			i++
		case c == '{':
			if err := p.enter(at); err != nil {
				return err
			}
			i++
		case c == '}':
			if err := p.leave(at); err != nil {
				return err
			}
			i++
		default:
			text, next, err := p.word(number, chars, i)
			if err != nil {
				return err
			}
			p.add(word{text, at})
			i = next
		}
	}
	return nil
}

// uncomment removes a comment: from a # that begins the line, or from the
// character before a later one that no backslash escapes. That this character
// goes too is how scstadmin has always read its file.
func (p *parser) uncomment(number int, chars []rune) []rune {
	for i := 0; i < len(chars); i++ {
		switch {
		case chars[i] == '\\':
			i++
		case chars[i] != '#':
		case strings.TrimSpace(string(chars[:i])) == "":
			return nil
		default:
			if before := chars[i-1]; !unicode.IsSpace(before) {
				p.found.Miss(carry.Place{Line: number, Column: i}, fmt.Sprintf("character %q before the comment", before),
					"SCST does not read it either; put a blank before #, or write \\# if it is no comment")
			}
			return chars[:i-1]
		}
	}
	return chars
}

// word reads one word from start: up to a blank or a brace, or in quotes. A
// backslash takes the character after it as it is.
func (p *parser) word(number int, chars []rune, start int) (text string, next int, err error) {
	var b strings.Builder
	i, quoted := start, chars[start] == '"'
	if quoted {
		i++
	}
	for ; i < len(chars); i++ {
		c := chars[i]
		switch {
		case c == '\\' && i+1 < len(chars):
			i++
			b.WriteRune(chars[i])
			continue
		case quoted && c == '"':
			return b.String(), i + 1, nil
		case !quoted && (unicode.IsSpace(c) || c == '{' || c == '}'):
			return b.String(), i, nil
		}
		b.WriteRune(c)
	}
	if quoted {
		return "", 0, p.refuse(carry.Place{Line: number, Column: start + 1},
			"the quote is not closed on this line (a # begins a comment even in quotes; write \\# for the character)")
	}
	return b.String(), i, nil
}

// add adds a word to the line's statement.
func (p *parser) add(w word) {
	if p.pending != nil {
		p.pending.words = append(p.pending.words, w)
		return
	}
	p.pending = &statement{words: []word{w}}
	into := &p.top
	if n := len(p.open); n > 0 {
		into = &p.open[n-1].lines
	}
	*into = append(*into, p.pending)
}

func (p *parser) enter(at carry.Place) error {
	switch {
	case p.pending == nil:
		return p.refuse(at, "{ has nothing before it on its line; a section begins like: TARGET iqn.2026-11.com.example:disk {")
	case len(p.open) >= maxDepth:
		return p.refuse(at, "the sections are nested too deeply")
	}
	p.pending.open = true
	p.open = append(p.open, p.pending)
	p.pending = nil
	return nil
}

func (p *parser) leave(at carry.Place) error {
	n := len(p.open)
	if n == 0 {
		return p.refuse(at, "} closes nothing: no section is open here")
	}
	p.open, p.pending = p.open[:n-1], nil
	return nil
}
