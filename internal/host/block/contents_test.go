package block

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestContents(t *testing.T) {
	for _, c := range []struct {
		file  string
		blank bool
		want  []Content
	}{
		{"wipefs-blank.json", true, nil},
		{"wipefs-blank.json", false, []Content{{Type: Unknown}}},
		{"wipefs-gpt.json", true, []Content{{Type: "gpt"}}},
		{"wipefs-luks.json", true, []Content{{Type: "crypto_LUKS", UUID: "21111111-2222-8333-8444-555555555555"}}},
		{"wipefs-ext4.json", true, []Content{{Type: "ext4", Label: "hello", UUID: uuidOf(t, "wipefs-ext4.json")}}},
		{"wipefs-btrfs.json", true, []Content{{Type: "btrfs", Label: "bt", UUID: uuidOf(t, "wipefs-btrfs.json")}}},
	} {
		m := &canned{out: map[string]string{"wipefs": string(golden(t, c.file))}, blank: c.blank}
		got, err := Contents(t.Context(), m, "/dev/vda")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.file, diff)
		}
	}
	boom := errors.New("Input/output error")
	if _, err := Contents(t.Context(), &canned{err: boom}, "/dev/vda"); !errors.Is(err, boom) {
		t.Errorf("a disk that cannot be read is taken for one that holds nothing: %v", err)
	}
	if _, err := Contents(t.Context(), &canned{out: map[string]string{"wipefs": "{"}, blank: true}, "/dev/vda"); err == nil {
		t.Error("an answer that is cut off is taken for a blank disk")
	}
}

func uuidOf(t *testing.T, file string) string {
	var list struct{ Signatures []struct{ UUID string } }
	if err := json.Unmarshal(golden(t, file), &list); err != nil {
		t.Fatal(err)
	}
	return list.Signatures[0].UUID
}

func TestContentString(t *testing.T) {
	for want, c := range map[string]Content{
		`an ext4 file system "hello"`: {Type: "ext4", Label: "hello"},
		"data of an unknown kind":     {Type: Unknown},
		"VMFS":                        {Type: "VMFS"},
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func FuzzParseContents(f *testing.F) {
	for _, name := range []string{"blank", "gpt", "luks", "ext4", "btrfs"} {
		f.Add(golden(f, "wipefs-"+name+".json"))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := parseContents(text)
		if err != nil {
			return
		}
		var list struct{ Signatures []struct{ Type string } }
		if len(text) > 0 && json.Unmarshal(text, &list) == nil {
			if len(list.Signatures) > 0 && len(found) == 0 {
				t.Errorf("%q is taken for blank", text)
			}
		}
	})
}
