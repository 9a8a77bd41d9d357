package cli_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/cli"
)

// TestReference compares docs/cli.md with the commands.
func TestReference(t *testing.T) {
	const file = "../../docs/cli.md"
	var got bytes.Buffer
	if err := cli.Reference(&got); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("%s is not what the commands say; run go test ./internal/cli -update (-want +got):\n%s", file, d)
	}
}
