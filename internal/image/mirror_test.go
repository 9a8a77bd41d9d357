package image

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestHostMirrors(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  Mirrors
		fails bool
	}{
		"deb822": {
			files: map[string]string{"sources.list.d/debian.sources": "Types: deb\n# a comment\nURIs: http://m.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\nTypes: deb\nURIs: http://s.example/sec\nSuites:\n bookworm-security\n"},
			want:  Mirrors{Main: "http://m.example/debian", Security: "http://s.example/sec"},
		},
		"one line": {
			files: map[string]string{"sources.list": "deb cdrom:[Debian]/ trixie main\ndeb [arch=amd64 signed-by=/k.gpg] https://m.example/d trixie main # here\ndeb-src https://src.example/d trixie main\ndeb https://s.example/s trixie-security main\n"},
			want:  Mirrors{Main: "https://m.example/d", Security: "https://s.example/s"},
		},
		"others' sources are not Debian's": {
			files: map[string]string{"sources.list.d/node.list": "deb https://n.example/node nodistro main\n", "sources.list.d/z.list": "deb http://m.example/debian sid main\n"},
			want:  Mirrors{Main: "http://m.example/debian"},
		},
		"switched off": {
			files: map[string]string{"sources.list.d/d.sources": "Enabled: no\nURIs: http://m.example/debian\nSuites: trixie\n"},
			fails: true,
		},
		"nothing": {files: map[string]string{}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			etc := fstest.MapFS{}
			for path, text := range test.files {
				etc[path] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := HostMirrors(etc)
			if (err != nil) != test.fails {
				t.Fatalf("error %v, want one: %v", err, test.fails)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSourcesNameEveryPart(t *testing.T) {
	got := Mirrors{Main: "http://m/d", Security: "http://m/s"}.Sources("trixie", []string{"main", "non-free-firmware"})
	want := []string{
		"deb http://m/d trixie main non-free-firmware",
		"deb http://m/d trixie-updates main non-free-firmware",
		"deb http://m/s trixie-security main non-free-firmware",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
