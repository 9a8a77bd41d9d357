package boot

import "context"

// Linux is what the stages ask of the kernel and of the programs in the
// initramfs. Files they read and write themselves.
type Linux interface {
	// Mount mounts as mount(2) does; flags are its MS_ constants.
	Mount(source, target, fstype string, flags uintptr, options string) error
	Unmount(target string) error
	// Move moves a mount, with what is mounted on it.
	Move(from, to string) error
	// LoadModule puts a module's code into the kernel.
	LoadModule(file, args string) error
	// Modaliases sends the modalias of each device that appears, until ctx
	// ends. What appears after the call is not missed; an empty one says that
	// messages were lost, and that all devices have to be looked at again.
	Modaliases(ctx context.Context) (<-chan string, error)
	// AttachLoop makes a file a block device that can only be read. It goes
	// when it is unmounted.
	AttachLoop(file string) (device string, err error)
	// Run runs a program of the initramfs and returns what it said and its
	// exit status. An error means that it did not run to its end.
	Run(ctx context.Context, name string, args ...string) (output string, status int, err error)
	// Forget drops a file's or a device's bytes from the page cache.
	Forget(path string)
	// Restart restarts the machine, whatever state it is in. It returns only in
	// tests.
	Restart()
	// SwitchRoot empties the initramfs, makes newRoot the root and becomes the
	// program argv[0] there. It returns only if that failed.
	SwitchRoot(newRoot string, argv, env []string) error
}
