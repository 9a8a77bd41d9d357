package raidcli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// TestBombs: what unpacks to more than it may is given up, not written.
func TestBombs(t *testing.T) {
	zeros := make([]byte, 4<<20)
	for name, data := range map[string][]byte{
		"one file":  makeZip(t, file{name: "storcli64", data: zeros}),
		"gzip":      gz(t, zeros),
		"many":      makeZip(t, file{name: "a.so", data: zeros[:600<<10]}, file{name: "b.so", data: zeros[:600<<10]}),
		"in an rpm": makeRPM(t, zst, file{name: "./storcli64", data: zeros}),
	} {
		t.Run(name, func(t *testing.T) {
			in, err := os.Open(save(t, "in", data))
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			dir := t.TempDir()
			u := newUnpacker(dir, []string{"storcli64"})
			u.left = 1 << 20
			defer u.close()
			if err := u.open(t.Context(), "in", "in", in, 0); !errors.Is(err, errTooLarge) {
				t.Errorf("error %v, want %v", err, errTooLarge)
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			var size int64
			for _, e := range entries {
				if st, err := e.Info(); err == nil {
					size += st.Size()
				}
			}
			if size > 1<<20+1 {
				t.Errorf("%d bytes were written", size)
			}
		})
	}
}

func TestCappedReader(t *testing.T) {
	for _, test := range []struct {
		have, limit int
		ok          bool
	}{{0, 0, true}, {5, 5, true}, {5, 9, true}, {6, 5, false}, {1, 0, false}} {
		got, err := io.ReadAll(&cappedReader{r: strings.NewReader(strings.Repeat("x", test.have)), left: int64(test.limit)})
		if test.ok && (err != nil || len(got) != test.have) || !test.ok && !errors.Is(err, errTooLarge) {
			t.Errorf("%d of at most %d: %d bytes, %v", test.have, test.limit, len(got), err)
		}
	}
}

func TestCleanName(t *testing.T) {
	for _, test := range []struct {
		in, out string
		ok      bool
	}{
		{"./opt/a", "opt/a", true},
		{"/opt//a", "opt/a", true},
		{`a\b`, "a/b", true},
		{"a..b/..c", "a..b/..c", true},
		{"..", "", false},
		{"a/../b", "", false},
		{"a\x00b", "", false},
		{string(bytes.Repeat([]byte("a"), maxName+1)), "", false},
	} {
		if got, err := cleanName(test.in); got != test.out || (err == nil) != test.ok {
			t.Errorf("%.20q: %q, %v", test.in, got, err)
		}
	}
}
