package vm

import (
	"fmt"
	"os"
)

// logged is the back end of a drive whose writes are logged. QEMU's
// blklogwrites passes each request on and then appends it to the log, in the
// order in which they were done: the format is that of Linux's dm-log-writes,
// which test/power/writelog reads.
//
// The driver sits above the drive's format, so that the log has what the guest
// wrote and not how an image keeps it. What is below it need not sync its
// files: a flush is then logged as soon as the guest asks for it, and not
// after writes that the guest sent later.
func (d Drive) logged(id, format string) string {
	return fmt.Sprintf("id=b%s,if=none,driver=blklogwrites,log-sector-size=512,"+
		"file.driver=%s,file.cache.no-flush=on,file.file.driver=file,file.file.filename=%s,"+
		"log.driver=file,log.filename=%s",
		id, format, escape(d.File), escape(d.WriteLog))
}

// newWriteLogs makes the logs of drives empty: QEMU wants them there.
func newWriteLogs(drives []Drive) error {
	for _, d := range drives {
		if d.WriteLog == "" {
			continue
		}
		if d.Snapshot || d.ReadOnly || d.CDROM {
			return fmt.Errorf("log the writes to %s: only those of a plain drive that can be written can be logged", d.File)
		}
		f, err := os.Create(d.WriteLog)
		if err != nil {
			return fmt.Errorf("log the writes to %s: %w", d.File, err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("log the writes to %s: %w", d.File, err)
		}
	}
	return nil
}
