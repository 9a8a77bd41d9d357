package boot

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/slot"
)

func TestParseOptions(t *testing.T) {
	for _, c := range []struct {
		line     string
		want     Options
		warnings []string // what each says
	}{
		{"", Options{}, nil},
		{"BOOT_IMAGE=/PRIMARY/vmlinuz quiet panic=10\n", Options{}, nil},
		{"slot=SECONDARY esos_medium=UUID=0123", Options{Slot: slot.Secondary, Medium: "UUID=0123"}, nil},
		{"slot=secondary", Options{Slot: slot.Secondary}, nil},
		{"slot=SECONDARY slot=PRIMARY", Options{}, nil},
		{"slot=TERTIARY", Options{}, []string{"TERTIARY"}},
		{"slot=", Options{}, []string{"slot="}},
		{"esos_persist esos_rescue single_user", Options{Persist: true, Rescue: true, Single: true}, nil},
		{"esos_persist=1 esos_rescue=0 single_user=off", Options{Persist: true}, nil},
		{"esos_persist=maybe", Options{Persist: true}, []string{"esos_persist=maybe"}},
		{"esos_wait=5", Options{Wait: 5 * time.Second}, nil},
		{"esos_wait=0", Options{Wait: -1}, nil},
		{"esos_wait=-1 esos_wait=x esos_wait=99999999999999999999", Options{}, []string{"-1", "=x", "9999"}},
		{"esos_iso=live", Options{ISO: LiveISO}, nil},
		{"esos_iso=install install_dev=/dev/sda install_tran=usb install_model=\"Big Disk*\" wipe_devs=1 no_prompt=1",
			Options{ISO: InstallISO, Install: InstallOptions{Device: "/dev/sda", Transport: "usb", Model: "Big Disk*", Wipe: true, NoPrompt: true}}, nil},
		{"wipe_devs=0 no_prompt", Options{Install: InstallOptions{NoPrompt: true}}, nil},
		{"esos_iso=other", Options{ISO: LiveISO}, []string{"esos_iso=other"}},
		{"esos_iso=live esos_persist", Options{ISO: LiveISO}, []string{"esos_persist"}},
		{"single_user -- esos_persist", Options{Single: true}, nil},
		{`"install_model=A B" single_user`, Options{Single: true, Install: InstallOptions{Model: "A B"}}, nil},
	} {
		want := c.want
		if want.Slot == "" {
			want.Slot = slot.Primary
		}
		switch want.Wait {
		case 0:
			want.Wait = DefaultWait
		case -1:
			want.Wait = 0
		}
		got, warnings := ParseOptions(c.line)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.line, diff)
		}
		if len(warnings) != len(c.warnings) {
			t.Errorf("%q: warnings %q, want %d", c.line, warnings, len(c.warnings))
			continue
		}
		for i, part := range c.warnings {
			if !strings.Contains(warnings[i], part) {
				t.Errorf("%q: warning %q does not tell of %q", c.line, warnings[i], part)
			}
		}
	}
}

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		"a  b\tc\n":            {"a", "b", "c"},
		`a="b c" d`:            {"a=b c", "d"},
		`"a=b c" d`:            {"a=b c", "d"},
		`a="open to the end`:   {"a=open to the end"},
		`usb.q="1 2" -- last`:  {"usb.q=1 2"},
		`x.dyndbg="file a +p"`: {"x.dyndbg=file a +p"},
		"":                     nil,
	} {
		if diff := cmp.Diff(want, Words(line)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", line, diff)
		}
	}
}

func FuzzParseOptions(f *testing.F) {
	f.Add(`slot=PRIMARY esos_wait=3 install_model="a b" --`)
	f.Fuzz(func(t *testing.T, line string) {
		o, _ := ParseOptions(line)
		if o.Slot != slot.Primary && o.Slot != slot.Secondary {
			t.Errorf("slot %q", o.Slot)
		}
		if o.Wait < 0 || o.Wait > maxWait {
			t.Errorf("wait %v", o.Wait)
		}
		if o.ISO != NoISO && o.Persist {
			t.Error("an ISO to run from")
		}
	})
}
