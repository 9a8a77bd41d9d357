package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/host"
)

func TestIssueLIP(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{out: &out}
	sys := host.Adapters{Sys: t.TempDir()}
	if err := a.issueLIP(sys); err == nil || !strings.Contains(err.Error(), "no Fibre Channel port") {
		t.Errorf("without a port: %v", err)
	}
	at := filepath.Join(sys.Sys, "class/fc_host/host8")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"port_name": "0x500143802426bbb4\n", "issue_lip": ""} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.issueLIP(sys); err != nil || out.String() != "host8 (0x500143802426bbb4): done\n" {
		t.Errorf("%q %v", out.String(), err)
	}
}
