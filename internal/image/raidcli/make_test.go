package raidcli

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/esos-project/esos/internal/image/debtest"
)

// elfFile says which ELF file makeELF makes.
type elfFile struct {
	machine elf.Machine // x86-64 if 0
	class   elf.Class   // 64 bits if 0
	osabi   elf.OSABI
	library bool
	pie     bool // with library: a static program that can be loaded anywhere
	soname  string
	needed  []string
	loader  string
}

const glibcLoader = "/lib64/ld-linux-x86-64.so.2"

// dynamic is a usual program for Debian.
func dynamic(needed ...string) elfFile {
	return elfFile{loader: glibcLoader, needed: append(needed, "libc.so.6")}
}

// makeELF makes a file that has what the headers of real ones have, and no
// code.
func makeELF(o elfFile) []byte {
	if o.machine == 0 {
		o.machine = elf.EM_X86_64
	}
	if o.class == elf.ELFCLASSNONE {
		o.class = elf.ELFCLASS64
	}
	kind := elf.ET_EXEC
	if o.library {
		kind = elf.ET_DYN
	}
	if o.class == elf.ELFCLASS32 {
		h := elf.Header32{Type: uint16(kind), Machine: uint16(o.machine), Version: 1, Ehsize: 52, Phentsize: 32, Shentsize: 40}
		copy(h.Ident[:], []byte{0x7f, 'E', 'L', 'F', byte(o.class), byte(elf.ELFDATA2LSB), 1, byte(o.osabi)})
		var b bytes.Buffer
		_ = binary.Write(&b, binary.LittleEndian, h)
		return b.Bytes()
	}
	dynstr := "\x00"
	var dyn bytes.Buffer
	add := func(tag elf.DynTag, s string) {
		_ = binary.Write(&dyn, binary.LittleEndian, elf.Dyn64{Tag: int64(tag), Val: uint64(len(dynstr))})
		dynstr += s + "\x00"
	}
	for _, n := range o.needed {
		add(elf.DT_NEEDED, n)
	}
	if o.soname != "" {
		add(elf.DT_SONAME, o.soname)
	}
	if o.pie {
		_ = binary.Write(&dyn, binary.LittleEndian, elf.Dyn64{Tag: int64(elf.DT_FLAGS_1), Val: uint64(elf.DF_1_PIE)})
	}
	_ = binary.Write(&dyn, binary.LittleEndian, elf.Dyn64{Tag: int64(elf.DT_NULL)})

	const headers = 64 + 56
	interp := o.loader + "\x00"
	names := "\x00.dynamic\x00.dynstr\x00.shstrtab\x00"
	strAt := uint64(headers + len(interp))
	dynAt := strAt + uint64(len(dynstr))
	namesAt := dynAt + uint64(dyn.Len())
	table := namesAt + uint64(len(names))
	h := elf.Header64{Type: uint16(kind), Machine: uint16(o.machine), Version: 1, Phoff: 64, Shoff: table, Ehsize: 64,
		Phentsize: 56, Shentsize: 64, Shnum: 4, Shstrndx: 3}
	copy(h.Ident[:], []byte{0x7f, 'E', 'L', 'F', byte(o.class), byte(elf.ELFDATA2LSB), 1, byte(o.osabi)})
	if o.loader != "" {
		h.Phnum = 1
	}
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_DYNAMIC), Off: dynAt, Size: uint64(dyn.Len()), Link: 2, Entsize: 16},
		{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: strAt, Size: uint64(len(dynstr))},
		{Name: 18, Type: uint32(elf.SHT_STRTAB), Off: namesAt, Size: uint64(len(names))},
	}
	if o.loader == "" && !o.library {
		sections[1].Type = uint32(elf.SHT_NOTE) // linked statically
	}
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, h)
	_ = binary.Write(&b, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_INTERP), Off: headers, Filesz: uint64(len(interp))})
	b.WriteString(interp)
	b.WriteString(dynstr)
	b.Write(dyn.Bytes())
	b.WriteString(names)
	_ = binary.Write(&b, binary.LittleEndian, sections)
	return b.Bytes()
}

// file is one in an archive to be made.
type file struct {
	name string
	data []byte
	link string
}

func makeZip(t *testing.T, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		h.SetMode(0o644)
		e, err := w.CreateHeader(h)
		if err == nil {
			_, err = e.Write(f.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func makeTar(t *testing.T, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o755, Size: int64(len(f.data))}
		if f.link != "" {
			h = &tar.Header{Typeflag: tar.TypeSymlink, Name: f.name, Linkname: f.link}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func makeDeb(t *testing.T, files ...file) []byte {
	t.Helper()
	p := debtest.Package{Name: "raid-cli", Version: "1"}
	for _, f := range files {
		p.Files = append(p.Files, debtest.File{Path: f.name, Data: f.data, Link: f.link, Mode: 0o755})
	}
	data, err := p.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// makeRPM makes an rpm whose payload is compressed by compress.
func makeRPM(t *testing.T, compress func(*testing.T, []byte) []byte, files ...file) []byte {
	t.Helper()
	header := func(entries int, store string) string {
		b := append([]byte("\x8e\xad\xe8\x01\x00\x00\x00\x00"), make([]byte, 8+16*entries)...)
		binary.BigEndian.PutUint32(b[8:], uint32(entries))
		binary.BigEndian.PutUint32(b[12:], uint32(len(store)))
		return string(b) + store
	}
	lead := rpmMagic + strings.Repeat("\x00", rpmLead-len(rpmMagic))
	signatures := header(1, "a signature")
	signatures += strings.Repeat("\x00", -len(signatures)&7)
	return append([]byte(lead+signatures+header(3, "names")), compress(t, makeCPIO(files...))...)
}

func makeCPIO(files ...file) []byte {
	var b bytes.Buffer
	for _, f := range append(files, file{name: "TRAILER!!!"}) {
		mode, data := 0o100755, f.data
		if f.link != "" {
			mode, data = 0o120777, []byte(f.link)
		}
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00", 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
			len(f.name)+1, 0, f.name)
		b.Write(make([]byte, -b.Len()&3))
		b.Write(data)
		b.Write(make([]byte, -b.Len()&3))
	}
	return b.Bytes()
}

func plain(_ *testing.T, data []byte) []byte { return data }

func gz(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zst(t *testing.T, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

// tool compresses with a program, which reads what the readers must.
func tool(args ...string) func(*testing.T, []byte) []byte {
	return func(t *testing.T, data []byte) []byte {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdin = bytes.NewReader(data)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v (the tests need the packages xz-utils and bzip2)", strings.Join(args, " "), err)
		}
		return out
	}
}
