package mkesos

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/medium/stick"
	"github.com/esos-project/esos/internal/slot"
)

func TestConfirm(t *testing.T) {
	drive := stick.Target{Path: "/dev/sdb", Disk: &disk.Disk{Name: "sdb", Path: "/dev/sdb"}}
	file := stick.Target{Path: "vm.img", Exists: true}
	for _, test := range []struct {
		target stick.Target
		typed  string
		want   bool
	}{
		{drive, "sdb\n", true}, {drive, "/dev/sdb", true}, {drive, " sdb \n", true},
		{drive, "sda\n", false}, {drive, "yes\n", false}, {drive, "\n", false}, {drive, "", false},
		{file, "yes\n", true}, {file, "y\n", false}, {file, "", false},
	} {
		var out bytes.Buffer
		err := confirm(strings.NewReader(test.typed), &out, test.target)
		if (err == nil) != test.want {
			t.Errorf("%s: %q was answered: %v", test.target.Path, test.typed, err)
		}
		if out.Len() == 0 {
			t.Errorf("%s: nothing was asked", test.target.Path)
		}
	}
}

func TestTrusted(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	f := &writeFlags{}
	if _, err := f.trusted(dir); err == nil || !strings.Contains(err.Error(), "--unsigned") {
		t.Errorf("without any key: %v", err)
	}
	expect := func(want string) {
		t.Helper()
		keys, err := f.trusted(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) != 1 || keys[0].Comment != want {
			t.Errorf("trusted are %v, want %s", keys, want)
		}
	}
	if _, _, err := slot.LoadOrMakeKey(filepath.Join(dir, "config/esos/signing.key"), "own"); err != nil {
		t.Fatal(err)
	}
	expect("own")
	public := func(path, comment string) {
		t.Helper()
		key, err := slot.GenerateKey(comment)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, slot.MarshalPublicKey(key.Public()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	public(filepath.Join(dir, "keys/a.pub"), "beside")
	expect("beside")
	public(filepath.Join(dir, "named.pub"), "named")
	f.keys = []string{filepath.Join(dir, "named.pub")}
	expect("named")
}

func TestInstallArguments(t *testing.T) {
	for name, test := range map[string]struct {
		flags isoFlags
		want  string
		fails bool
	}{
		"nothing":         {isoFlags{}, "[]", false},
		"all":             {isoFlags{device: "/dev/sda", transport: "usb", model: "a b.*", wipe: true, noPrompt: true}, "[install_dev=/dev/sda install_tran=usb install_model=a b.* wipe_devs=1 no_prompt=1]", false},
		"a person asked":  {isoFlags{model: "x"}, "[install_model=x]", false},
		"nobody, nowhere": {isoFlags{noPrompt: true, wipe: true}, "", true},
		"no pattern":      {isoFlags{model: "("}, "", true},
	} {
		got, err := test.flags.arguments()
		if (err != nil) != test.fails || err == nil && fmt.Sprint(got) != test.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
