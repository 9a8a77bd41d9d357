package image

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Mirrors are where Debian's packages come from.
type Mirrors struct {
	Main     string // of the release and its updates
	Security string
}

// entry is one source of packages in apt's configuration.
type entry struct {
	uri    string
	suites []string
}

// HostMirrors reads the mirrors that this machine's apt uses from etc, which
// is /etc/apt: no mirror's name is written into ESOS.
func HostMirrors(etc fs.FS) (Mirrors, error) {
	names := []string{"sources.list"}
	for _, pattern := range []string{"sources.list.d/*.list", "sources.list.d/*.sources"} {
		found, err := fs.Glob(etc, pattern)
		if err != nil {
			return Mirrors{}, err
		}
		names = append(names, found...)
	}
	var m Mirrors
	for _, name := range names {
		text, err := fs.ReadFile(etc, name)
		if err != nil {
			continue // sources.list is absent on newer machines
		}
		parse := parseOneLine
		if path.Ext(name) == ".sources" {
			parse = parseDeb822
		}
		for _, e := range parse(text) {
			m.take(e)
		}
	}
	if m.Main == "" {
		return m, fmt.Errorf("find a Debian mirror in this machine's apt configuration: none of %s names one; give --mirror URL", strings.Join(names, ", "))
	}
	return m, nil
}

// take keeps the first mirror of each kind. A source is Debian's if it has a
// suite of Debian's.
func (m *Mirrors) take(e entry) {
	for _, suite := range e.suites {
		name, security := strings.CutSuffix(suite, "-security")
		if !debianSuite(name) {
			continue
		}
		switch {
		case security && m.Security == "":
			m.Security = e.uri
		case !security && m.Main == "":
			m.Main = e.uri
		}
	}
}

func debianSuite(s string) bool {
	s = strings.TrimSuffix(s, "-updates")
	switch s {
	case "bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable", "oldstable":
		return true
	}
	return false
}

// parseOneLine reads "deb [options] URI SUITE COMPONENT..." (sources.list(5)).
func parseOneLine(text []byte) []entry {
	var found []entry
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if before, rest, ok := strings.Cut(line, "["); ok {
			_, after, _ := strings.Cut(rest, "]")
			line = before + after
		}
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "deb" || !usable(f[1]) {
			continue
		}
		found = append(found, entry{uri: f[1], suites: f[2:3]})
	}
	return found
}

// parseDeb822 reads stanzas of fields (sources.list(5), DEB822-STYLE FORMAT).
func parseDeb822(text []byte) []entry {
	var found []entry
	for stanza := range strings.SplitSeq(string(text), "\n\n") {
		fields := map[string][]string{}
		last := ""
		for line := range strings.Lines(stanza) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") { // goes on
				fields[last] = append(fields[last], strings.Fields(line)...)
				continue
			}
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				continue
			}
			last = strings.ToLower(strings.TrimSpace(name))
			fields[last] = strings.Fields(value)
		}
		if en := fields["enabled"]; len(en) == 1 && strings.EqualFold(en[0], "no") {
			continue
		}
		for _, uri := range fields["uris"] {
			if usable(uri) {
				found = append(found, entry{uri: uri, suites: fields["suites"]})
			}
		}
	}
	return found
}

// usable tells whether others than apt on this machine can use a source: not a
// CD-ROM.
func usable(uri string) bool {
	return strings.Contains(uri, ":/") && !strings.HasPrefix(uri, "cdrom:")
}

// Sources returns the lines of a sources.list for a release.
func (m Mirrors) Sources(suite string, components []string) []string {
	parts := strings.Join(components, " ")
	lines := []string{
		fmt.Sprintf("deb %s %s %s", m.Main, suite, parts),
		fmt.Sprintf("deb %s %s-updates %s", m.Main, suite, parts),
	}
	if m.Security != "" {
		lines = append(lines, fmt.Sprintf("deb %s %s-security %s", m.Security, suite, parts))
	}
	return lines
}

// Sources returns the lines of a sources.list for suite, from the mirrors of
// this machine's apt configuration or, when mirror is not empty, from there.
func Sources(etc fs.FS, suite, mirror, security string) ([]string, error) {
	m, err := ChooseMirrors(etc, mirror, security)
	if err != nil {
		return nil, err
	}
	return m.Sources(suite, []string{"main", "non-free-firmware"}), nil
}

// ChooseMirrors takes what was named on the command line before what the
// machine has.
func ChooseMirrors(etc fs.FS, mirror, security string) (Mirrors, error) {
	m, err := HostMirrors(etc)
	if mirror != "" {
		m.Main, err = mirror, nil
	}
	if security != "" {
		m.Security = security
	}
	if err != nil {
		return m, err
	}
	if m.Security == "" {
		return m, fmt.Errorf("this machine's apt configuration has no source of security updates; an appliance without them is not built: give --security-mirror URL")
	}
	return m, nil
}
