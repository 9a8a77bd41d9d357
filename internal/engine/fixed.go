package engine

import "github.com/esos-project/esos/internal/config"

// FixedDifferences names what differs between a device that is served and what
// is wanted of it, and cannot change while it is.
func FixedDifferences(have, want config.Device) []string {
	var names []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"handler", have.Handler == want.Handler},
		{"path", have.Path == want.Path},
		{"provisioning", have.Provisioning == want.Provisioning},
		{"block_size", have.BlockSize == want.BlockSize},
		{"write_through", have.WriteThrough == want.WriteThrough},
		{"o_direct", have.ODirect == want.ODirect},
		{"read_only", have.ReadOnly == want.ReadOnly},
		{"removable", have.Removable == want.Removable},
		{"rotational", have.Rotational == want.Rotational},
		{"identity", have.Identity == want.Identity},
	} {
		if !f.same {
			names = append(names, f.name)
		}
	}
	return names
}
