package scstconf_test

import (
	"flag"
	"testing"

	"github.com/esos-project/esos/internal/carry/carrytest"
	"github.com/esos-project/esos/internal/carry/scstconf"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestFiles(t *testing.T) { carrytest.Files(t, scstconf.Format{}, "testdata/*.conf", 7, *update) }

func FuzzRead(f *testing.F) { carrytest.Fuzz(f, scstconf.Format{}, "testdata/*.conf") }
