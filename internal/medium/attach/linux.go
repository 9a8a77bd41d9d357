package attach

import "github.com/esos-project/esos/internal/host"

// linux is the machine's kernel.
type linux struct{}

func (linux) mount(device, where string, fat bool) error {
	if fat {
		return host.MountFAT(device, where)
	}
	return host.MountExt4(device, where)
}

func (linux) mountRead(device, where string, fat bool) error {
	if fat {
		return host.MountToRead(device, where, "vfat", "umask=0022")
	}
	return host.MountToRead(device, where, "ext4", "")
}

func (linux) unmount(where string) error                { return host.Unmount(where) }
func (linux) readOnly(device string) (string, error)    { return host.ReadOnlyMount(device) }
func (linux) remount(where string, writable bool) error { return host.Remount(where, writable) }
func (linux) sync(where string) error                   { return host.SyncFS(where) }

func (linux) uuid(device string, fat bool) (string, error) {
	if fat {
		return host.FATUUID(device)
	}
	return host.ExtUUID(device)
}
