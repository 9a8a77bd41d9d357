package upkeep

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// archive is one of those that 'esos logs list' shows.
type archive struct {
	Name string    `json:"name"`
	When time.Time `json:"when"`
	Size int64     `json:"size"`
}

// logArchives shows the archives of logs on the medium.
func logArchives(d *frame.Desk) {
	var l *frame.List
	again := func() { l.Again() }
	l = &frame.List{Title: "Logs", Command: "esos logs list", Once: true,
		Help: "What the machine logged. /var/log is in memory; it is archived on the medium at shutdown, when it is large, and every seven days. " +
			"a archives what there is now, so that it can be read here.",
		Empty:   "Nothing was archived yet; a archives what there is.",
		Columns: []frame.Column{{Title: "until"}, {Title: "size", Right: true}, {Title: "archive", Wide: true}},
		Read: rowsOf(d, func(x archive) frame.Row {
			return frame.Row{ID: x.Name, Value: x, Cells: []string{when(x.When), pick.Size(x.Size), x.Name}}
		}, "logs", "list"),
		Keys: []frame.RowKey{
			{Key: 'o', Does: "open", Do: func(r frame.Row) { openArchive(d, r.Value.(archive).Name) }},
			{Key: 'a', Does: "archive now", Always: true, Do: func(frame.Row) {
				d.Ask("Archive the logs now?", "What is in /var/log and in the journal goes into a new archive on the medium, and gives its memory back.", "Archive",
					func() { d.Command("Archive the logs", again, "logs", "archive") })
			}},
			{Key: 'e', Does: "export", Do: func(r frame.Row) {
				export(d, "Export Logs", "The archive as a tar file compressed with zstd.", "logs", "export", r.Value.(archive).Name)
			}},
		}}
	d.List(l)
}

// mostOfLog bounds what is kept of one log to be searched: its last bytes.
const mostOfLog = 8 << 20

// logFile is a file of an archive.
type logFile struct {
	name string
	size int64
	text string // its end
}

// openArchive shows the files of an archive.
func openArchive(d *frame.Desk, name string) {
	frame.Load(d, "Read the archive", func(ctx context.Context) ([]logFile, error) {
		packed, err := d.CommandOutput(ctx, "logs", "export", name, "-")
		if err != nil {
			return nil, err
		}
		return unpack(strings.NewReader(packed))
	}, func(files []logFile) {
		d.List(&frame.List{Title: name, Command: "esos logs export " + name + " - | tar --zstd -t", Once: true,
			Help: "The files of the archive. Of large ones the end is shown and searched; export has all of it.", Empty: "It is empty.",
			Columns: []frame.Column{{Title: "log", Wide: true}, {Title: "size", Right: true}},
			Read: func(context.Context) ([]frame.Row, error) {
				var rows []frame.Row
				for _, f := range files {
					rows = append(rows, frame.Row{ID: f.name, Value: f, Cells: []string{f.name, pick.Size(f.size)}})
				}
				return rows, nil
			},
			Keys: []frame.RowKey{{Key: 's', Does: "show", Do: func(r frame.Row) {
				f := r.Value.(logFile)
				showText(d, f.name, "esos logs export "+name+" - | tar --zstd -xO "+quoted(f.name), f.text)
			}}}})
	})
}

// unpack reads the ends of the logs of an archive.
func unpack(r io.Reader) ([]logFile, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	defer z.Close()
	var files []logFile
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the archive: %w", err)
		}
		if h.Typeflag != tar.TypeReg || h.Size == 0 {
			continue
		}
		if over := h.Size - mostOfLog; over > 0 {
			if _, err := io.CopyN(io.Discard, t, over); err != nil {
				return nil, fmt.Errorf("read %s of the archive: %w", h.Name, err)
			}
		}
		text, err := io.ReadAll(t)
		if err != nil {
			return nil, fmt.Errorf("read %s of the archive: %w", h.Name, err)
		}
		f := logFile{name: h.Name, size: h.Size, text: string(text)}
		if strings.ContainsRune(f.text, 0) || strings.HasSuffix(f.name, ".gz") {
			f.text = "This is no text: export the archive to look at it."
		}
		files = append(files, f)
	}
}
