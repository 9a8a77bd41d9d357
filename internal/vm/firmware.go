package vm

import (
	"errors"
	"fmt"
	"os"
)

// ovmf are places where distributions put UEFI firmware for QEMU: the code,
// and the variables that a new machine begins with.
var ovmf = []struct{ code, vars string }{
	{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},         // Debian, Ubuntu
	{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},               // older ones
	{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},     // Fedora
	{"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"}, // Arch
}

// ovmfArgs returns the options for OVMF. A machine that starts again with the
// same file finds the variables it had.
func ovmfArgs(vars string) ([]string, error) {
	for _, f := range ovmf {
		if _, err := os.Stat(f.code); err != nil {
			continue
		}
		if _, err := os.Stat(vars); errors.Is(err, os.ErrNotExist) {
			fresh, err := os.ReadFile(f.vars)
			if err != nil {
				return nil, fmt.Errorf("read UEFI's first variables: %w", err)
			}
			if err := os.WriteFile(vars, fresh, 0o600); err != nil {
				return nil, err
			}
		}
		return []string{
			"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + escape(f.code),
			"-drive", "if=pflash,unit=1,format=raw,file=" + escape(vars),
		}, nil
	}
	return nil, fmt.Errorf("there is no UEFI firmware for QEMU at %s or where other distributions have it: install the package ovmf", ovmf[0].code)
}
