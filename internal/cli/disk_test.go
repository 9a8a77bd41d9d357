package cli_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/smart"
	"github.com/esos-project/esos/internal/host/storagefake"
)

// disks are a shelf of disks, and how they are: one blank, one with a file
// system that nobody uses, one that is mounted and counts errors.
func disks(env *testscript.Env) (appliance.StorageMachine, *smart.Book) {
	m := storagefake.New()
	m.Disk("vda", "blank", 10<<30)
	full := m.Disk("vdb", "full", 10<<30)
	full.Owner, full.Content = "accounts", []block.Content{{Type: "xfs", Label: "accounts"}}
	mounted := m.Disk("vdc", "busy", 10<<30)
	mounted.Mounts, mounted.Content = []string{"/srv"}, []block.Content{{Type: "ext4"}}
	m.File("/sys/class/enclosure/0:0:8:0/Slot 04/locate", "0\n")
	m.File("/sys/class/enclosure/0:0:8:0/Slot 04/device/block/vdb/size", "1")
	book := &smart.Book{}
	if err := book.Load(oldBook{}, ""); err != nil {
		env.T().Fatal(err)
	}
	env.Values[shelf{}] = m
	return m, book
}

// shelf is the key of a script's disks.
type shelf struct{}

// oldBook is a look at the disk that counts errors.
type oldBook struct{}

func (oldBook) ReadFile(string) ([]byte, error) {
	return json.Marshal(map[string]smart.Entry{"Imitation busy": {Disk: "virtio-busy", Health: smart.Health{Passed: new(true), Celsius: new(int64(33)), Pending: new(int64(8)), Firmware: "1.0",
		SelfTest: &smart.SelfTest{Kind: "Short offline", Result: "Completed without error", Passed: new(true)}}}})
}

func (oldBook) Save(string, []byte, fs.FileMode) error { return fs.ErrPermission }

// lost wants that of the disks no other data is gone than is named: lost accounts...
func lost(ts *testscript.TestScript, neg bool, args []string) {
	got := fmt.Sprint(ts.Value(shelf{}).(*storagefake.Machine).Lost())
	if want := "[" + strings.Join(args, " ") + "]"; (got == want) == neg {
		ts.Fatalf("lost %s, want %s", got, want)
	}
}
