package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func examples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("examples: %v %v", files, err)
	}
	return files
}

// unexpected returns the warnings without the one that an appliance's document
// has until its first boot makes the API's administrator.
func unexpected(file string, problems Problems) Problems {
	return slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool {
		return filepath.Base(file) == "appliance.yaml" && p.Path == "api.users" && p.Warning
	})
}

func TestExamples(t *testing.T) {
	schema := compileSchema(t)
	for _, file := range examples(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			doc, warnings, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if warnings := unexpected(file, warnings); len(warnings) > 0 {
				t.Errorf("an example must not warn: %v", warnings)
			}
			if err := Complete(doc, nil); err != nil {
				t.Fatal(err)
			}
			if problems := unexpected(file, doc.Validate()); len(problems) > 0 {
				t.Errorf("completed: %v", problems)
			}
			text, err := Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			again, _, err := Parse("written", text)
			if err != nil {
				t.Fatalf("what was written cannot be read: %v\n%s", err, text)
			}
			if diff := cmp.Diff(doc, again); diff != "" {
				t.Errorf("write and read (-want +got):\n%s", diff)
			}
			if d := Diff(doc, doc.Clone()); len(d) > 0 {
				t.Errorf("clone: %v", d)
			}
			revealed, err := MarshalJSONRevealed(doc)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(revealed))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(plain); err != nil {
				t.Errorf("schema: %v", err)
			}
			if again, _, err := Parse("json", revealed); err != nil {
				t.Errorf("JSON: %v", err)
			} else if d := Diff(doc, again); len(d) > 0 {
				t.Errorf("JSON: %v", d)
			}
		})
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("esos.json", parsed); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("esos.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchema(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "schema.json", text)
	schema := compileSchema(t)
	for _, bad := range []string{
		`{"version": 1}`,
		`{"version": 2, "name": "a"}`,
		`{"version": 1, "name": "a", "colour": "red"}`,
		`{"version": 1, "name": "a", "devices": [{"name": "d", "handler": "floppy"}]}`,
		`{"version": 1, "name": "a", "devices": [{"name": "d", "handler": "vdisk_nullio", "size": "much"}]}`,
	} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(v) == nil {
			t.Errorf("the schema takes %s", bad)
		}
	}
}

// Every field has a doc tag: the schema and the API's description are made
// of them.
func TestDocTags(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var top struct {
		Properties map[string]map[string]any                                 `json:"properties"`
		Defs       map[string]struct{ Properties map[string]map[string]any } `json:"$defs"`
	}
	if err := json.Unmarshal(text, &top); err != nil {
		t.Fatal(err)
	}
	for name, d := range top.Defs {
		for key, p := range d.Properties {
			if p["description"] == nil {
				t.Errorf("%s.%s has no doc tag", name, key)
			}
		}
	}
	for key, p := range top.Properties {
		if p["description"] == nil {
			t.Errorf("%s has no doc tag", key)
		}
	}
}

// The files of testdata/bad are documents with mistakes; beside each is what
// is said about it.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, warnings, err := Parse(name+".yaml", text)
			said := ""
			if err != nil {
				said = err.Error() + "\n"
			}
			for _, w := range warnings {
				said += w.String() + "\n"
			}
			golden(t, "bad/"+name+".txt", []byte(said))
		})
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		text   string
		size   Size
		prints string
	}{
		{"0", 0, "0"}, {"1", 1, "1"}, {"1073741824", 1 << 30, "1GiB"}, {"10GiB", 10 << 30, "10GiB"}, {"10 G", 10 << 30, "10GiB"},
		{"500MB", 500e6, "500000000"}, {"1.5TiB", 3 << 39, "1536GiB"}, {"0.5K", 512, "512"}, {"1.5kB", 1500, "1500"}, {"7PiB", 7 << 50, "7PiB"},
		{"9223372036854775807", 1<<63 - 1, "9223372036854775807"},
	} {
		got, err := ParseSize(c.text)
		if err != nil || got != c.size || got.String() != c.prints {
			t.Errorf("%q: %d %q %v, want %d %q", c.text, got, got.String(), err, c.size, c.prints)
		}
	}
	for _, bad := range []string{"", "-1", "x", "10XB", "1.5", "1.0000001GiB", "1.3B", "9223372036854775808", "8192PiB", "0x10", "1e6", "GiB", "1..5K", "10 000"} {
		if got, err := ParseSize(bad); err == nil {
			t.Errorf("%q is taken as %d", bad, got)
		}
	}
	for _, text := range []string{`"2MiB"`, `2097152`} {
		var s Size
		if err := json.Unmarshal([]byte(text), &s); err != nil || s != 2<<20 {
			t.Errorf("JSON %s: %d %v", text, s, err)
		}
	}
}

func TestSecretsStayHidden(t *testing.T) {
	doc, _, err := Load("../../examples/chap.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const secret = "example-"
	u := doc.Targets[0].Auth.Users[0]
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "user", u, "secret", u.Secret, "doc", doc)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "user", u, "secret", u.Secret, "doc", doc)
	fmt.Fprintf(&log, "%v %+v %#v %s %q %x %d", u, u, u, u.Secret, u.Secret, u.Secret, u.Secret)
	js, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	log.Write(js)
	redacted, err := Marshal(doc.Redacted())
	if err != nil {
		t.Fatal(err)
	}
	log.Write(redacted)
	other := doc.Clone()
	other.Targets[0].Auth.Users[0].Secret = "example-other-secret"
	for _, c := range Diff(doc, other) {
		log.WriteString(c.String())
	}
	if strings.Contains(log.String(), secret) {
		t.Errorf("a secret is seen:\n%s", log.String())
	}
	if n := len(Diff(doc, other)); n != 1 {
		t.Errorf("a changed secret is %d changes", n)
	}

	// Two of one name are told apart by their initiators.
	twins := []CHAPUser{{Name: "u", Secret: "example-one-secret", Initiators: []string{"a"}}, {Name: "u", Secret: "example-two-secret", Initiators: []string{"b"}}}
	twice := &Document{Targets: []Target{{Auth: Auth{Users: twins}}}}
	shown := twice.Redacted()
	shown.Targets[0].Auth.Users[0], shown.Targets[0].Auth.Users[1] = shown.Targets[0].Auth.Users[1], shown.Targets[0].Auth.Users[0]
	shown.KeepSecrets(twice)
	if shown.Targets[0].Auth.Users[0].Secret != "example-two-secret" {
		t.Error("a user was given another one's secret")
	}

	back, err := Decode("redacted", redacted)
	if err != nil {
		t.Fatal(err)
	}
	if back.Validate().Err() == nil {
		t.Error("a hidden secret passes for one")
	}
	back.KeepSecrets(doc)
	if d := Diff(doc, back); len(d) > 0 {
		t.Errorf("secrets were not kept: %v", d)
	}
}

func TestComplete(t *testing.T) {
	load := func() *Document {
		doc, _, err := Load("../../examples/alua.yaml")
		if err != nil {
			t.Fatal(err)
		}
		doc.ID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
		return doc
	}
	first := load()
	if err := Complete(first, nil); err != nil {
		t.Fatal(err)
	}
	text, err := Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "completed.yaml", text)

	again := first.Clone()
	if err := Complete(again, first); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("completing twice changes: %s", diff)
	}
	// Without an ID, and after the array got another one, identities stay.
	anew := load()
	anew.ID = ""
	if err := Complete(anew, first); err != nil {
		t.Fatal(err)
	}
	if d := Diff(first, anew); len(d) > 0 {
		t.Errorf("identities did not stay: %v", d)
	}
	moved := load()
	moved.ID = "6ba7b811-9dad-41d1-80b4-00c04fd430c8"
	if err := Complete(moved, first); err != nil {
		t.Fatal(err)
	}
	if moved.Devices[0].Identity != first.Devices[0].Identity {
		t.Error("identity did not stay")
	}
	if err := Complete(moved, nil); err != nil {
		t.Fatal(err)
	}
	// A new target takes the lowest free identifiers; the old one keeps its own.
	more := load()
	more.Targets[0].RelativeIDs = nil
	more.Targets = append([]Target{{Name: "iqn.2026-11.com.example:new"}}, more.Targets...)
	if err := Complete(more, first); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[int]int{1: 3, 2: 4}, more.Targets[0].RelativeIDs); diff != "" {
		t.Errorf("new target: %s", diff)
	}
	if diff := cmp.Diff(map[int]int{1: 1, 2: 2}, more.Targets[1].RelativeIDs); diff != "" {
		t.Errorf("old target: %s", diff)
	}
}

func TestMigrate(t *testing.T) {
	// Version 0 of this test called devices disks.
	steps := map[int]migration{1: func(top *yaml.Node) error {
		for i := 0; i < len(top.Content); i += 2 {
			if top.Content[i].Value == "disks" {
				top.Content[i].Value = "devices"
			}
		}
		return nil
	}}
	parse := func(text string) *yaml.Node {
		var n yaml.Node
		if err := yaml.Load([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		return n.Content[0]
	}
	top := parse("version: 1\nname: a\ndisks: []\n")
	from, problem := migrateWith(top, steps, 2)
	if from != 1 || problem != "" || child(top, "devices") == nil || child(top, "version").Value != "2" {
		t.Errorf("migrated from %d: %q", from, problem)
	}
	for text, want := range map[string]string{
		"name: a":               "missing",
		"version: 3\nname: a":   "newer than this program",
		"version: one\nname: a": "must be a number",
		"version: 0\nname: a":   "must be a number",
	} {
		if _, problem := migrateWith(parse(text), steps, 2); !strings.Contains(problem, want) {
			t.Errorf("%q: %q, want %q", text, problem, want)
		}
	}
	if _, problem := migrateWith(parse("version: 1"), nil, 2); !strings.Contains(problem, "not read any more") {
		t.Error(problem)
	}
}

func TestBombs(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\nname: a\ntargets:\n- name: iqn.2026-11.com.example:a\n  groups:\n  - &g {name: g, luns: &l [")
	for range 2000 {
		b.WriteString("{lun: 0, device: d},")
	}
	b.WriteString("]}\n")
	for range 2000 {
		b.WriteString("  - *g\n")
	}
	for name, text := range map[string]string{
		"aliases": b.String(),
		"depth":   "version: 1\nname: a\ndevices: " + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
		"size":    "version: 1\nname: " + strings.Repeat("a", MaxDocument),
		"itself":  "version: 1\nname: a\ndevices: &d\n- *d\n",
		"merge":   "version: 1\nname: a\napi: &a {listen: ':1'}\niscsi: {<<: *a}\n",
		"two":     "version: 1\nname: a\n---\nversion: 1\nname: b\n",
	} {
		_, _, err := Parse(name, []byte(text))
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if len(err.Error()) > 20_000 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
	}
}

func TestDiff(t *testing.T) {
	a, _, err := Load("../../examples/hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b := a.Clone()
	b.Devices[0].Size = 32 << 30
	b.Devices[5].Identity.Serial = ""
	b.Devices = b.Devices[:5]
	if err := b.RemoveGroup("iqn.2026-11.com.example:vmware", "backup"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.MapLUN("iqn.2026-11.com.example:vmware", "esx1", LUN{LUN: -1, Device: "bench"}); err != nil {
		t.Fatal(err)
	}
	b.Targets[1].Auth.Users = []CHAPUser{{Name: "u", Secret: "example-secret"}}
	b.Targets[1].Groups[0].Initiators = []string{"iqn.1993-08.org.debian:*"}
	var out strings.Builder
	for _, c := range Diff(a, b) {
		out.WriteString(c.String() + "\n")
	}
	golden(t, "diff.txt", []byte(out.String()))
	// Order is no difference.
	c := a.Clone()
	c.Devices[0], c.Devices[1] = c.Devices[1], c.Devices[0]
	if d := Diff(a, c); len(d) > 0 {
		t.Errorf("order is a difference: %v", d)
	}
}

func FuzzParse(f *testing.F) {
	for _, dir := range []string{"../../examples/*.yaml", "testdata/bad/*.yaml"} {
		files, _ := filepath.Glob(dir)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, _, err := Parse("fuzz", text)
		if err != nil {
			return
		}
		// What is taken can be completed, written and read back as the same.
		if err := Complete(doc, nil); err != nil {
			return
		}
		if doc.Validate().Err() != nil {
			return // completed into what is given elsewhere, like an image's path
		}
		out, err := Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := Parse("written", out)
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, out)
		}
		if d := Diff(doc, again); len(d) > 0 {
			t.Fatalf("write and read differ: %v\n%s", d, out)
		}
	})
}

func FuzzSize(f *testing.F) {
	f.Add("10GiB")
	f.Add("1.5TiB")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSize(text)
		if err != nil {
			return
		}
		if again, err := ParseSize(s.String()); err != nil || again != s || s < 0 {
			t.Fatalf("%q is %d, printed %q, read as %d (%v)", text, s, s, again, err)
		}
	})
}
