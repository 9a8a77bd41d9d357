package raidcli

import (
	"debug/elf"
	"fmt"
	"io"
	"strings"
)

// object is what matters of an ELF file.
type object struct {
	program bool     // a program, not a library
	soname  string   // of a library
	needed  []string // the libraries that it wants
	interp  string   // the loader of a program that is linked dynamically
}

// readELF reads an ELF file, and refuses what does not run on x86-64 Linux
// with a phrase such as "for AArch64".
func readELF(r io.ReaderAt) (o object, err error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return o, fmt.Errorf("a damaged ELF file: %w", err)
	}
	defer f.Close()
	switch {
	case f.Machine == elf.EM_386:
		return o, fmt.Errorf("for 32-bit x86")
	case f.Machine != elf.EM_X86_64:
		return o, fmt.Errorf("for %s", strings.TrimPrefix(f.Machine.String(), "EM_"))
	case f.Class != elf.ELFCLASS64:
		return o, fmt.Errorf("for x32")
	case f.OSABI != elf.ELFOSABI_NONE && f.OSABI != elf.ELFOSABI_LINUX:
		return o, fmt.Errorf("for %s", strings.TrimPrefix(f.OSABI.String(), "ELFOSABI_"))
	case f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN:
		return o, fmt.Errorf("neither a program nor a library (%s)", f.Type)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		b := make([]byte, min(p.Filesz, 256))
		if _, err := p.ReadAt(b, 0); err != nil {
			return o, fmt.Errorf("a damaged ELF file: its loader's name: %w", err)
		}
		o.interp = strings.TrimRight(string(b), "\x00")
	}
	if o.interp != "" && !strings.Contains(o.interp, "ld-linux") {
		return o, fmt.Errorf("for another system than Linux (its loader is %s)", o.interp)
	}
	o.program = f.Type == elf.ET_EXEC || o.interp != ""
	if f.SectionByType(elf.SHT_DYNAMIC) == nil {
		o.program = true // linked statically
		return o, nil
	}
	if o.needed, err = f.ImportedLibraries(); err != nil {
		return o, fmt.Errorf("a damaged ELF file: the libraries it needs: %w", err)
	}
	if names, err := f.DynString(elf.DT_SONAME); err == nil && len(names) > 0 {
		o.soname = names[0]
	}
	// A static program that can be loaded anywhere looks like a library but for
	// this flag.
	if flags, err := f.DynValue(elf.DT_FLAGS_1); err == nil && len(flags) > 0 && flags[0]&uint64(elf.DF_1_PIE) != 0 {
		o.program = true
	}
	return o, nil
}
