package disk

import (
	"testing"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

// What a command costs beyond its store: null moves no bytes.
func BenchmarkCommand(b *testing.B) {
	d, err := New(backing.NewNull(1<<40), Options{Volatile: true})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	r := &rig{Disk: d, rows: rowsOf(d)}
	out, to := make([]byte, 4096), &once{b: make([]byte, 4096)}
	for _, c := range []struct {
		name string
		cdb  []byte
	}{{"read", cdb10(0x28, 0, 8, 8)}, {"write", cdb10(0x2a, 0, 8, 8)}} {
		b.Run(c.name, func(b *testing.B) {
			row := r.find(c.cdb)
			var task scsi.Task
			b.ReportAllocs()
			for b.Loop() {
				task.Reset()
				task.CDB, task.Transfer = c.cdb, to
				row.Parse(&task)
				task.Out = out[:task.OutLen]
				row.Do(&task)
			}
		})
	}
}
