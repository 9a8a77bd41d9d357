// Package scstconf reads and writes scst.conf, the file of SCST's scstadmin.
package scstconf

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/config"
)

// Format is scst.conf.
type Format struct{}

// Name is scst.
func (Format) Name() string { return "scst" }

// Recognises says whether a text looks like scst.conf: one of its sections
// begins in it.
func (Format) Recognises(text []byte) bool {
	section := regexp.MustCompile(`(?m)^[ \t]*\[?(HANDLER|TARGET_DRIVER|DEVICE_GROUP)[ \t]+\S`)
	return section.Match(text) && !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{"))
}

// Read reads a file. name is told in errors.
func (Format) Read(name string, text []byte) (*carry.Import, error) {
	f := carry.NewFound()
	top, err := parse(name, text, f)
	if err != nil {
		return nil, err
	}
	r := &reader{file: name, f: f, devices: map[string]string{}, stores: map[string]string{},
		serials: map[string]bool{}, naas: map[string]bool{}, targets: map[string]string{}, elsewhere: map[string]string{}, driversOff: map[string]bool{},
		relative: map[int]bool{}, grouped: map[string]bool{}}
	if err := r.all(merged(top)); err != nil {
		return nil, err
	}
	return f.Import(name)
}

// merged joins sections that are opened twice, as SCST reads them.
func merged(lines []*statement) []*statement {
	first := map[string]*statement{}
	var out []*statement
	for _, s := range lines {
		if s.open {
			key := fmt.Sprintf("%q %q", s.key(), s.value())
			if was := first[key]; was != nil {
				was.lines = append(was.lines, s.lines...)
				continue
			}
			first[key] = s
		}
		out = append(out, s)
	}
	for _, s := range out {
		s.lines = merged(s.lines)
	}
	return out
}

// reader makes a document of a file's statements.
type reader struct {
	file      string
	f         *carry.Found
	setupID   uint64
	devices   map[string]string // name in the document by name in the file, "" for one that was not carried
	stores    map[string]string // device by path
	serials   map[string]bool
	naas      map[string]bool
	targets   map[string]string // as devices
	elsewhere map[string]string // driver by name of a target that is not iSCSI's
	relative  map[int]bool
	grouped   map[string]bool // devices that are in a device group

	driversOff map[string]bool // TARGET_DRIVERs of ports that are not enabled
	driverOn   bool            // some TARGET_DRIVER iscsi is enabled
	closed     string          // why the target that is read must not be open
}

func (r *reader) refuse(at carry.Place, format string, args ...any) error {
	return carry.Refuse(r.file, at, fmt.Sprintf(format, args...))
}

// keyword says whether a word begins a section, and where that may stand.
func keyword(key string) (within string, ok bool) {
	switch key {
	case "HANDLER", "TARGET_DRIVER", "DEVICE_GROUP":
		return "the file itself", true
	case "DEVICE":
		return "a HANDLER or a DEVICE_GROUP", true
	case "TARGET":
		return "a TARGET_DRIVER or a TARGET_GROUP", true
	case "GROUP":
		return "a TARGET", true
	case "LUN":
		return "a TARGET or a GROUP", true
	case "INITIATOR":
		return "a GROUP", true
	case "TARGET_GROUP":
		return "a DEVICE_GROUP", true
	}
	return "", false
}

// check refuses lines that may not stand in a section, and those that lack an
// argument.
func (r *reader) check(in string, lines []*statement, sections ...string) error {
	for _, s := range lines {
		within, section := keyword(s.key())
		switch {
		case !section && strings.HasPrefix(s.key(), "["):
			return r.refuse(s.at(), "%q is of the format before SCST 2.0; let scstadmin convert the file, then import what it wrote", s.key())
		case !section && s.open:
			return r.refuse(s.at(), "%q begins no section that scst.conf knows", s.key())
		case !section:
			continue
		case !slices.Contains(sections, s.key()):
			return r.refuse(s.at(), "%s stands in %s; it belongs into %s", s.key(), in, within)
		case len(s.words) < 2 || s.key() == "LUN" && len(s.words) < 3:
			return r.refuse(s.at(), "%s lacks its name", s.key())
		case len(s.words) > 3 || s.key() != "LUN" && len(s.words) > 2:
			return r.refuse(s.words[len(s.words)-1].at, "%s has more than its name; a name with blanks stands in quotes", s.key())
		}
	}
	return nil
}

// all reads the file: devices before what refers to them.
func (r *reader) all(top []*statement) error {
	if err := r.check("the file itself", top, "HANDLER", "TARGET_DRIVER", "DEVICE_GROUP"); err != nil {
		return err
	}
	for _, s := range top {
		if _, section := keyword(s.key()); section {
			continue
		}
		if s.key() == "setup_id" {
			id, err := strconv.ParseUint(s.value(), 0, 32)
			if err != nil {
				return r.refuse(s.valueAt(), "setup_id: %q is no number of 32 bits", s.value())
			}
			r.setupID = id
			continue // it lives on in the serial numbers
		}
		r.f.Leave(s.at(), "attribute "+s.key()+" of SCST", why(s.key()))
	}
	// Targets stand in a document in the order that they are written in, too.
	top = slices.Clone(top)
	slices.SortStableFunc(top, func(a, b *statement) int {
		if a.key() != "TARGET_DRIVER" || b.key() != "TARGET_DRIVER" {
			return strings.Compare(a.key(), b.key())
		}
		return slices.Index(drivers(), config.Driver(a.arg(1))) - slices.Index(drivers(), config.Driver(b.arg(1)))
	})
	for _, pass := range []struct {
		key  string
		read func(*statement) error
	}{{"HANDLER", r.handler}, {"TARGET_DRIVER", r.lookAhead}, {"TARGET_DRIVER", r.driver}, {"DEVICE_GROUP", r.deviceGroup}} {
		for _, s := range top {
			if s.key() == pass.key {
				if err := pass.read(s); err != nil {
					return err
				}
			}
		}
	}
	r.f.OrderPortals()
	return nil
}

// number reads an attribute's value.
func (r *reader) number(s *statement) (int64, error) {
	n, err := strconv.ParseInt(s.value(), 0, 64)
	if err != nil {
		return 0, r.refuse(s.valueAt(), "%s: %q is no number", s.key(), s.value())
	}
	return n, nil
}

// flag reads an attribute that is 0 or 1.
func (r *reader) flag(s *statement) (bool, error) {
	switch s.value() {
	case "0":
		return false, nil
	case "1":
		return true, nil
	}
	return false, r.refuse(s.valueAt(), "%s: %q is neither 0 nor 1", s.key(), s.value())
}

// leave notes an attribute that the document has no place for, unless it asks
// for what ESOS does anyway.
func (r *reader) leave(s *statement, of string) {
	if asUsual(s.key(), s.value()) {
		return
	}
	what := "attribute " + s.key() + " of " + of
	if grave(s.key()) {
		r.f.Miss(s.at(), what, why(s.key()))
		return
	}
	r.f.Leave(s.at(), what, why(s.key()))
}

// leaveAll notes a section that is not carried, line by line.
func (r *reader) leaveAll(s *statement, reason string, missed bool) {
	note := r.f.Leave
	if missed {
		note = r.f.Miss
	}
	note(s.at(), head(s), reason)
	r.leaveLines(s, head(s), missed)
}

func (r *reader) leaveLines(s *statement, with string, missed bool) {
	for _, l := range s.lines {
		_, section := keyword(l.key())
		what := "attribute " + l.key() + " of " + head(s)
		note := r.f.Leave
		if section {
			what = head(l) + " of " + head(s)
			if missed {
				note = r.f.Miss
			}
		}
		note(l.at(), what, "it goes with "+with)
		r.leaveLines(l, with, missed)
	}
}

// inRange reads a number that ESOS has within limits; 0 if it is left.
func (r *reader) inRange(s *statement, of string, least, most int64) (int, error) {
	n, err := r.number(s)
	if err != nil {
		return 0, err
	}
	if n < least || n > min(most, math.MaxInt32) {
		r.f.Leave(s.at(), "attribute "+s.key()+" of "+of, fmt.Sprintf("ESOS takes %d to %d; its default is in force", least, most))
		return 0, nil
	}
	return int(n), nil
}
