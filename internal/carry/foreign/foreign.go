// Package foreign finds the format of another target's file, and moves what it
// says into the document of an array.
package foreign

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/carry/saveconfig"
	"github.com/esos-project/esos/internal/carry/scstconf"
	"github.com/esos-project/esos/internal/config"
)

// Format is the file of another target.
type Format interface {
	Name() string
	Recognises(text []byte) bool
	Read(name string, text []byte) (*carry.Import, error)
	Write(d *config.Document, o carry.Options) (*carry.Export, error)
}

// Formats are those there are.
func Formats() []Format { return []Format{scstconf.Format{}, saveconfig.Format{}} }

// Find finds a format by its name, or by the text of a file if there is none.
func Find(name, file string, text []byte) (Format, error) {
	for _, f := range Formats() {
		if name == f.Name() || name == "" && f.Recognises(text) {
			return f, nil
		}
	}
	if name != "" {
		return nil, fmt.Errorf("format %q is neither scst nor lio", name)
	}
	return nil, fmt.Errorf("%s looks neither like scst.conf nor like saveconfig.json; if it is one of them, say so with --format scst or --format lio", file)
}

// ReadFile reads a file to move in from.
func ReadFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the file to import: %w", err)
	}
	defer func() { _ = f.Close() }()
	return ReadAll(file, f)
}

// ReadAll reads all of a file, if it is not too large for one.
func ReadAll(name string, r io.Reader) ([]byte, error) {
	const most = 64 << 20
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && len(text) > most {
		err = errors.New("it is larger than 64 MiB")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return text, nil
}

// MoveIn puts a file's devices and targets into a document, in the place of its
// own.
func MoveIn(doc *config.Document, found *carry.Import) {
	from, portals := found.Document.Clone(), doc.ISCSI.Portals
	doc.Devices, doc.ISCSI, doc.Targets, doc.DeviceGroups = from.Devices, from.ISCSI, from.Targets, from.DeviceGroups
	if found.AnyPortal && len(portals) > 0 {
		doc.ISCSI.Portals = portals // the file knows of none, the array does
	}
}
