package daemon

import "github.com/esos-project/esos/internal/config"

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

// Empty is the document of an array that serves nothing yet.
func Empty() *config.Document { return &config.Document{Version: config.Version, Name: "esos"} }
