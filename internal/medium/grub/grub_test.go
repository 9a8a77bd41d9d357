package grub

import (
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs; -update rewrites it (-want +got):\n%s", file, diff)
	}
}

func TestConfig(t *testing.T) {
	got, err := Menu{
		Arguments: "panic=10\n  raid=noautodetect", Production: "quiet", DebugArguments: strings.Join(DebugArguments(), " "),
	}.Config()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "medium.cfg", got)
}

func TestISOConfig(t *testing.T) {
	for name, m := range map[string]ISOMenu{
		"live.cfg":    {Arguments: "panic=10 quiet"},
		"install.cfg": {Install: []string{"install_model=SanDisk (Ultra|Fit)", "wipe_devs=1", "no_prompt=1"}, Unattend: true},
	} {
		got, err := m.Config()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, got)
	}
}

// TestConfigRefuses: nothing that comes from a file is a command to GRUB.
func TestConfigRefuses(t *testing.T) {
	for _, bad := range []string{"a;b", "a\"b", "a'b", "$root", "a|b", "a{", "a&b", `a\b`, "a#b", "a>b"} {
		if _, err := (Menu{Arguments: bad}).Config(); err == nil {
			t.Errorf("arguments %q were taken", bad)
		}
	}
	for _, bad := range []string{"a'b", `a"b`, `a\b`, "a\nb"} {
		if _, err := (ISOMenu{Install: []string{bad}}).Config(); err == nil {
			t.Errorf("an installer's argument %q was taken", bad)
		}
	}
}

func TestEnv(t *testing.T) {
	for name, env := range map[string]Env{
		"empty":   {},
		"some":    {EnvDefault: "SECONDARY", EnvTries: "2"},
		"special": {"a": `back\slash`, "b": "two\nlines", "c": "x=y", "d": ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := env.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if len(b) != 1024 {
				t.Errorf("the block has %d bytes", len(b))
			}
			got, err := ParseEnv(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(env, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := (Env{"a": strings.Repeat("x", 1024)}).Bytes(); err == nil {
		t.Error("more than a block was taken")
	}
	if _, err := (Env{"a=b": "c"}).Bytes(); err == nil {
		t.Error("a name with = was taken")
	}
	if _, err := ParseEnv([]byte("something else")); err == nil {
		t.Error("a file that is no block was read")
	}
}

func FuzzParseEnv(f *testing.F) {
	f.Add([]byte("# GRUB Environment Block\nsaved_entry=PRIMARY\n####"))
	f.Add([]byte("# GRUB Environment Block\na=b\\\nc\n#"))
	f.Fuzz(func(t *testing.T, b []byte) {
		env, err := ParseEnv(b)
		if err != nil {
			return
		}
		block, err := env.Bytes()
		if err != nil {
			return
		}
		again, err := ParseEnv(block)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(env, again); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEmbed(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int) {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(BootImage, 512)
	write(CoreImage, 3*512+1)
	boot, core, err := Embed(dir, 2048, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if len(boot) != 440 || len(core) != 4*512 {
		t.Fatalf("%d and %d bytes", len(boot), len(core))
	}
	le := binary.LittleEndian
	if le.Uint64(boot[0x5c:]) != 2048 || boot[0x64] != 0xff || boot[0x66] != 0x90 || boot[0x67] != 0x90 {
		t.Errorf("the first sector does not lead to the core: % x", boot[0x5c:0x68])
	}
	if le.Uint64(core[0x1f4:]) != 2049 || le.Uint16(core[0x1fc:]) != 3 || le.Uint16(core[0x1fe:]) != 0x820 {
		t.Errorf("the core does not lead to its rest: % x", core[0x1f4:0x200])
	}
	if _, _, err := Embed(dir, 2048, 1024); err == nil {
		t.Error("a core that does not fit was taken")
	}
}
