package host

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// LoadCrashKernel puts a kernel and its initramfs into the memory that is
// reserved for the case that the running one crashes.
func LoadCrashKernel(kernel, initrd, cmdline string) error {
	k, err := os.Open(kernel)
	if err != nil {
		return fmt.Errorf("load the crash kernel: %w", err)
	}
	defer k.Close()
	i, err := os.Open(initrd)
	if err != nil {
		return fmt.Errorf("load the crash kernel: %w", err)
	}
	defer i.Close()
	if err := unix.KexecFileLoad(int(k.Fd()), int(i.Fd()), cmdline, unix.KEXEC_FILE_ON_CRASH); err != nil {
		return fmt.Errorf("load the crash kernel %s: kexec_file_load: %w", kernel, err)
	}
	return nil
}

// CrashKernel tells of the crash kernel.
type CrashKernel struct {
	Reserved int64 // bytes of memory
	Loaded   bool
}

// CrashKernelState asks the kernel (the root of whose sysfs is sys) for it.
func CrashKernelState(sys string) (CrashKernel, error) {
	var values [2]int64
	for i, name := range []string{"kexec_crash_size", "kexec_crash_loaded"} {
		text, err := os.ReadFile(sys + "/kernel/" + name)
		if err == nil {
			values[i], err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		}
		if err != nil {
			return CrashKernel{}, fmt.Errorf("look whether a crash kernel is loaded: %w", err)
		}
	}
	return CrashKernel{values[0], values[1] != 0}, nil
}
