package layer

import "github.com/esos-project/esos/internal/host/networking"

// Network is what the network layer saw.
type Network struct {
	Links []networking.Link
	// Files are those that say how the network is to be, by their path.
	Files    map[string]string
	Hostname string // the kernel's
	// Settled says that the daemon that sets interfaces up is done with all of
	// them: what is not as it should be then stays so.
	Settled bool
}

// Link returns an interface, nil if there is none of that name.
func (n Network) Link(name string) *networking.Link {
	for i := range n.Links {
		if n.Links[i].Name == name {
			return &n.Links[i]
		}
	}
	return nil
}
