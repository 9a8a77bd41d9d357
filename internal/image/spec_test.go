package image

import (
	"strings"
	"testing"
)

func TestDefaultSpecIsSound(t *testing.T) {
	s, err := DefaultSpec()
	if err != nil {
		t.Fatal(err)
	}
	packages, err := s.rootPackages()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"systemd-sysv", s.Kernel, "openssh-server", "mdadm"} {
		found := false
		for _, p := range packages {
			found = found || p == want
		}
		if !found {
			t.Errorf("the root would not have %s", want)
		}
	}
}

func TestParseSpecRefuses(t *testing.T) {
	good := string(defaultSpec)
	for name, test := range map[string]struct{ from, to, says string }{
		"an unknown key":     {"suite: trixie", "suite: trixie\nsweet: trixie", "sweet"},
		"no kernel":          {"kernel: linux-image-amd64", "kernel: ''", "kernel"},
		"a package's name":   {"- kmod\n", "- KMod\n", "KMod"},
		"a package twice":    {"- dbus\n", "- udev\n", "udev"},
		"an absolute path":   {"- boot/*", "- /boot/*", "/boot/*"},
		"a way out":          {"- boot/*", "- ../boot/*", "../boot"},
		"a broken pattern":   {"- boot/*", "- 'boot/['", "boot/["},
		"a partition of 1 G": {"boot: 512", "boot: 1", "sizes.boot"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, test.from, test.to, 1)
			if text == good {
				t.Fatalf("image.yaml has no %q any more: mend this test", test.from)
			}
			if _, err := ParseSpec("test.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want one about %s", err, test.says)
			}
		})
	}
}
