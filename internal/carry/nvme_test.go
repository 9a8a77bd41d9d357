package carry

import (
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
)

// What is served over NVMe-oF is no part of these files, and that is told.
func TestNVMeIsTold(t *testing.T) {
	var told Told
	told.Machine(&config.Document{Version: 1, Name: "a", NVMe: config.NVMe{Ports: []config.NVMePort{{Name: "p", Transport: "tcp", Address: ":4420"}}}})
	if len(told.Left) != 1 || !strings.Contains(told.Left[0].String(), "nvme") {
		t.Errorf("told: %v", told.Left)
	}
}
