package layer

import "github.com/esos-project/esos/internal/host/luks"

// Encrypted are the LUKS devices of the machine.
type Encrypted struct {
	// Headers are those of the devices that are declared, by the kernel's name.
	Headers map[string]luks.Header
	// Keys are the names of those whose key is in a file of ours.
	Keys map[string]bool
	// Typed are the names of those whose passphrase somebody typed just now;
	// true if it may make what is not there yet.
	Typed map[string]bool
	// Unseen are the names of those whose recovery key nobody has seen.
	Unseen map[string]bool
	Err    error // why they could not be looked at
}
