package debtest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
)

// Module returns a kernel module that depmod and modinfo take for one, and that
// no kernel would load: an object file for x86-64 of what the two look at.
// info are its entries, such as "alias=pci:v0000BEEF*"; name, licence and the
// like.
func Module(name string, info ...string) []byte {
	modinfo := strings.Join(append([]string{"license=GPL", "name=" + name, "vermagic=0 SMP "}, info...), "\x00") + "\x00"
	names := "\x00.modinfo\x00.strtab\x00.symtab\x00.shstrtab\x00"
	at := func(section string) uint32 { return uint32(strings.Index(names, section+"\x00")) }
	strtab := "\x00"
	symtab := make([]byte, elf.Sym64Size) // the null symbol

	const header = 64
	var body bytes.Buffer
	place := func(data string) (offset, size uint64) {
		for body.Len()%8 != 0 {
			body.WriteByte(0)
		}
		offset = header + uint64(body.Len())
		body.WriteString(data)
		return offset, uint64(len(data))
	}
	sections := []elf.Section64{{}} // the first is null
	for _, s := range []struct {
		name string
		data string
		h    elf.Section64
	}{
		{".modinfo", modinfo, elf.Section64{Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC), Addralign: 1}},
		{".strtab", strtab, elf.Section64{Type: uint32(elf.SHT_STRTAB), Addralign: 1}},
		{".symtab", string(symtab), elf.Section64{Type: uint32(elf.SHT_SYMTAB), Link: 2, Info: 1, Addralign: 8, Entsize: elf.Sym64Size}},
		{".shstrtab", names, elf.Section64{Type: uint32(elf.SHT_STRTAB), Addralign: 1}},
	} {
		s.h.Name = at(s.name)
		s.h.Off, s.h.Size = place(s.data)
		sections = append(sections, s.h)
	}
	table, _ := place("")

	h := elf.Header64{Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT), Shoff: table,
		Ehsize: header, Shentsize: 64, Shnum: uint16(len(sections)), Shstrndx: uint16(len(sections) - 1)}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)

	// Writes to a buffer of fixed-size values cannot fail.
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, h)
	b.Write(body.Bytes())
	_ = binary.Write(&b, binary.LittleEndian, sections)
	return b.Bytes()
}
