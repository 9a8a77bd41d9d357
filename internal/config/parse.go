package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// What a document may have at most: it may come from a stranger.
const (
	MaxDocument = 16 << 20  // bytes of text
	maxNodes    = 1_000_000 // YAML nodes, those behind an alias counted each time
	maxDepth    = 64        // nesting; a document of ours has 8
	maxProblems = 100       // reported at a time
)

// Load reads the document in a file, as Parse does. "-" is standard input.
func Load(path string) (doc *Document, warnings Problems, err error) {
	if path == "-" {
		return read(os.Stdin, "standard input")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read document: %w", err)
	}
	defer f.Close()
	return read(f, path)
}

func read(r io.Reader, name string) (*Document, Problems, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxDocument+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read document %s: %w", name, err)
	}
	return Parse(name, text)
}

// Parse reads a document from YAML (or JSON, which is YAML) strictly, migrates
// it to the newest version and checks its meaning. name is told in problems.
// The error is a Problems with every problem found, each with its position.
func Parse(name string, text []byte) (doc *Document, warnings Problems, err error) {
	doc, problems := parse(name, text, true)
	if err := problems.Err(); err != nil {
		return nil, problems.Warnings(), err
	}
	return doc, problems.Warnings(), nil
}

// Decode is Parse without the check of meaning: for documents that are not
// yet complete, like one whose secrets read "(secret)". Call Validate later.
func Decode(name string, text []byte) (*Document, error) {
	doc, problems := parse(name, text, false)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return doc, nil
}

func parse(name string, text []byte, meaning bool) (*Document, Problems) {
	refuse := func(line, column int, format string, args ...any) (*Document, Problems) {
		return nil, Problems{{File: name, Line: line, Column: column, Message: fmt.Sprintf(format, args...)}}
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return refuse(1, 1, "the document is empty; it needs at least version and name")
	}
	if len(text) > MaxDocument {
		return refuse(0, 0, "the document is larger than %s", Size(MaxDocument).Human())
	}
	var root yaml.Node
	// Duplicate keys are found by the decoder below, which names both places.
	err := yaml.Load(text, &root, yaml.WithUniqueKeys(false),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		line, column, message := yamlError(err)
		return refuse(line, column, "%s", message)
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		return refuse(1, 1, "it has no contents; it needs at least version and name")
	}
	top := root.Content[0]
	from, problem := migrate(top)
	if problem != "" {
		line, column := locate(top, "version")
		return refuse(line, column, "version: %s", problem)
	}
	d := decoder{}
	doc := &Document{}
	d.document(top, doc)
	problems := d.problems
	if meaning && len(problems) == 0 {
		problems = doc.Validate()
		for i, p := range problems {
			problems[i].Line, problems[i].Column = locate(top, p.Path)
		}
	}
	if from < Version {
		problems = append(problems, Problem{Path: "version", Line: 1, Column: 1, Warning: true,
			Message: fmt.Sprintf("migrated from version %d to %d", from, Version)})
	}
	for i := range problems {
		problems[i].File = name
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return doc, problems
}

// yamlError takes position and text out of an error of the YAML library.
func yamlError(err error) (line, column int, message string) {
	var all *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &all) && len(all.Errors) > 0:
		one = all.Errors[0]
	case errors.As(err, &one):
	default:
		return 0, 0, strings.TrimPrefix(err.Error(), "yaml: ")
	}
	return one.Mark.Line, one.Mark.Column, one.Message
}

// locate finds the position of a problem's path in the node tree, or of the
// deepest part of the path that is there.
func locate(n *yaml.Node, path string) (line, column int) {
	line, column = n.Line, n.Column
	for path != "" && n != nil {
		n = resolve(n)
		var step string
		if strings.HasPrefix(path, "[") {
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return line, column
			}
			step, path = path[1:end], strings.TrimPrefix(path[end+1:], ".")
			i, err := strconv.Atoi(step)
			switch {
			case n.Kind == yaml.MappingNode:
				n = child(n, step)
			case err == nil && n.Kind == yaml.SequenceNode && i >= 0 && i < len(n.Content):
				n = n.Content[i]
			default:
				return line, column
			}
		} else {
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			step, path = path[:end], strings.TrimPrefix(path[end:], ".")
			n = child(n, step)
		}
		if n != nil {
			line, column = n.Line, n.Column
		}
	}
	return line, column
}

// child returns the value of a mapping's key, nil if it has none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}
