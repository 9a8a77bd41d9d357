package saveconfig_test

import (
	"flag"
	"testing"

	"github.com/esos-project/esos/internal/carry/carrytest"
	"github.com/esos-project/esos/internal/carry/saveconfig"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestFiles(t *testing.T) { carrytest.Files(t, saveconfig.Format{}, "testdata/*.json", 7, *update) }

func FuzzRead(f *testing.F) { carrytest.Fuzz(f, saveconfig.Format{}, "testdata/*.json") }
