package luks

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/storagefake"
)

// The answer in testdata is that of Debian 13's cryptsetup 2.7.5.
func TestHeader(t *testing.T) {
	text, err := os.ReadFile("testdata/file.json")
	if err != nil {
		t.Fatal(err)
	}
	if h, err := parseHeader(text); err != nil || h != (Header{Offset: 16 << 20, Slots: 1}) {
		t.Errorf("%+v, %v", h, err)
	}
	sealed := strings.Replace(string(text), `"tokens":{}`, `"tokens":{"0":{"type":"systemd-tpm2"}}`, 1)
	if h, err := parseHeader([]byte(sealed)); err != nil || !h.TPM2 {
		t.Errorf("%+v, %v", h, err)
	}
	for _, bad := range []string{"", "{", `{"segments":{}}`, `{"segments":{"0":{"offset":"x"}}}`, `{"segments":{"0":{"offset":"-1"}}}`} {
		if h, err := parseHeader([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, h)
		}
	}
}

func FuzzHeader(f *testing.F) {
	text, err := os.ReadFile("testdata/file.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		if h, err := parseHeader(text); err == nil && (h.Offset < 0 || h.Slots < 0) {
			t.Errorf("%+v", h)
		}
	})
}

func TestRecoveryKey(t *testing.T) {
	form := regexp.MustCompile(`^([cbdefghijklnrtuv]{8}-){7}[cbdefghijklnrtuv]{8}$`)
	a, b := RecoveryKey(), RecoveryKey()
	if !form.Match(a.Bytes) || string(a.Bytes) == string(b.Bytes) || !a.Random {
		t.Errorf("%s, %s", a.Bytes, b.Bytes)
	}
	a.Forget()
	if strings.Trim(string(a.Bytes), "\x00") != "" {
		t.Error("a key that is forgotten can be read")
	}
	if k := FileKey(); len(k.Bytes) != 64 {
		t.Errorf("%d bytes", len(k.Bytes))
	}
}

// TestFormat: nothing is encrypted over anything, and no key is an argument.
func TestFormat(t *testing.T) {
	key := Secret{Bytes: []byte("correct horse battery staple")}
	for _, holds := range []block.Content{{Type: "xfs"}, {Type: block.Unknown}} {
		m := storagefake.New()
		m.Disk("vda", "d1", 1<<30)
		m.Look("vda").Content, m.Look("vda").Owner = []block.Content{holds}, "somebody"
		if err := Format(t.Context(), m, "/dev/vda", "u", key); !errors.Is(err, ErrHolds) || len(m.Lost()) > 0 {
			t.Errorf("over %s: %v; lost %q", holds, err, m.Lost())
		}
	}
	m := storagefake.New()
	m.Disk("vda", "d1", 1<<30)
	if err := Format(t.Context(), m, "/dev/vda", "u", key); err != nil {
		t.Fatal(err)
	}
	if err := Open(t.Context(), m, "/dev/vda", "x", Secret{Bytes: []byte("wrong")}); !errors.Is(err, ErrWrongKey) {
		t.Errorf("a wrong key: %v", err)
	}
	if err := Open(t.Context(), m, "/dev/vda", "x", key); err != nil {
		t.Fatal(err)
	}
	if h, err := Read(t.Context(), m, "/dev/vda"); err != nil || h.Slots != 1 {
		t.Errorf("%+v, %v", h, err)
	}
	for _, call := range m.Calls() {
		if strings.Contains(call, "horse") {
			t.Errorf("the key is an argument: %s", call)
		}
	}
}
