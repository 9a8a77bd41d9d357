package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Accel is how a machine's instructions are run.
type Accel string

// Ways to run a machine.
const (
	KVM Accel = "kvm" // by the processor
	TCG Accel = "tcg" // translated; 10 to 30 times slower, works everywhere
)

func (a Accel) args() []string {
	if a == KVM {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	// -cpu max lets the guest use the vector instructions that TCG knows: it
	// boots a fifth faster. tb-size bounds QEMU's own memory.
	return []string{"-accel", "tcg,thread=multi,tb-size=400", "-cpu", "max"}
}

// probeSector is the guest that Probe runs: it writes 0x10 to QEMU's debug
// exit port, which ends QEMU with status 2*0x10+1.
var probeSector = []byte{
	0xba, 0xf4, 0x00, // mov dx, 0xf4
	0xb0, 0x10, // mov al, 0x10
	0xee,       // out dx, al
	0xf4,       // hlt
	0xeb, 0xfd, // jmp back to hlt
}

const (
	probeStatus  = 0x10<<1 | 1
	probeTimeout = 10 * time.Second
)

// Probe returns KVM if a guest really runs with it, else TCG. That /dev/kvm is
// there and opens says little: in nested clouds its first run may fail or hang.
func Probe(ctx context.Context) (Accel, error) {
	if _, err := exec.LookPath(Binary); err != nil {
		return "", fmt.Errorf("look for an emulator: %w (scripts/install-deps installs it)", err)
	}
	if f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err != nil {
		return TCG, nil
	} else if err := f.Close(); err != nil {
		return TCG, nil
	}
	ok, err := runs(ctx, KVM)
	if err != nil {
		return "", fmt.Errorf("probe for KVM: %w", err)
	}
	if !ok {
		return TCG, nil
	}
	return KVM, nil
}

// runs tells whether a guest gets to execute its boot sector.
func runs(ctx context.Context, accel Accel) (bool, error) {
	dir, err := os.MkdirTemp("", "esos-probe-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	disk := filepath.Join(dir, "disk")
	if err := os.WriteFile(disk, bootDisk(probeSector), 0o600); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary, append(accel.args(), "-nodefaults", "-no-user-config", "-no-reboot",
		"-machine", "pc", "-m", "64", "-display", "none", "-vga", "none", "-monitor", "none",
		"-drive", "file="+disk+",format=raw,if=ide,snapshot=on",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=0x01")...)
	var exit *exec.ExitError
	return errors.As(cmd.Run(), &exit) && exit.ExitCode() == probeStatus, nil
}

// bootDisk returns a disk that the firmware boots code from. SeaBIOS reads no
// disk that is smaller than a cylinder.
func bootDisk(code []byte) []byte {
	disk := make([]byte, 1<<20)
	copy(disk, code)
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}
