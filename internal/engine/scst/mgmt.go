package scst

import (
	"context"
	"path"
	"slices"
	"strings"
)

// abilities are what an object's mgmt file says that it takes: SCST tells its
// verbs, create parameters and added attributes there, so that none is
// guessed.
type abilities struct {
	verbs      []string
	parameters []string // of what is made here
	driver     []string // attributes that can be added to the driver
	target     []string // attributes that can be added to its targets
}

// abilities reads what the object at a path can do.
func (k *tree) abilities(ctx context.Context, p string) (abilities, error) {
	text, err := k.raw(ctx, path.Join(p, "mgmt"))
	if err != nil {
		return abilities{}, err
	}
	return parseHelp(text), nil
}

// parseHelp understands the text of a mgmt file.
func parseHelp(text string) abilities {
	var a abilities
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if _, after, ok := strings.Cut(line, "echo \""); ok {
			if verb, _, _ := strings.Cut(after, " "); verb != "" {
				a.verbs = append(a.verbs, strings.TrimRight(verb, "\""))
			}
			continue
		}
		what, names, ok := strings.Cut(line, " available: ")
		if !ok {
			continue
		}
		list := strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
		switch {
		case strings.HasSuffix(what, "target driver attributes"):
			a.driver = append(a.driver, list...)
		case strings.HasSuffix(what, "target attributes"):
			a.target = append(a.target, list...)
		case strings.HasSuffix(what, "parameters"):
			a.parameters = append(a.parameters, list...)
		}
	}
	return a
}

func (a abilities) does(verb string) bool { return slices.Contains(a.verbs, verb) }

// numbered says whether a file is one of an attribute that may be there
// several times: the second is NAME1.
func numbered(file, name string) bool {
	rest, ok := strings.CutPrefix(file, name)
	return ok && strings.Trim(rest, "0123456789") == ""
}
