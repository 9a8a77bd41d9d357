package daemon

import (
	"errors"
	"io/fs"

	"github.com/esos-project/esos/internal/config"
)

// Demonstration is the document of an array that nobody has declared anything
// for: a small thin disk that every initiator of this machine sees.
func Demonstration() *config.Document {
	const name = "esos"
	return &config.Document{
		Version: config.Version,
		Name:    name,
		Devices: []config.Device{{Name: "disk01", Handler: config.FileIO, Size: 1 << 30, Provisioning: config.Thin}},
		ISCSI:   config.ISCSI{Portals: []config.Portal{{Name: "local", Address: "127.0.0.1:3260"}}},
		Targets: []config.Target{{
			Name: "iqn.2026-11.org.esos-project:" + name,
			LUNs: []config.LUN{{LUN: 0, Device: "disk01"}},
		}},
	}
}

// adoption reads the document of a seed when it is asked for: an empty one if
// there is no such file. It is nil without a seed.
func adoption(seed string) func() (*config.Document, error) {
	if seed == "" {
		return nil
	}
	return func() (*config.Document, error) {
		doc, _, err := config.Load(seed)
		if errors.Is(err, fs.ErrNotExist) {
			return Empty(), nil
		}
		return doc, err
	}
}

// Empty is the document of an array that serves nothing yet.
func Empty() *config.Document { return &config.Document{Version: config.Version, Name: "esos"} }
