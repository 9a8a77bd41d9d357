package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// coldRow is a load on a file on a disk, past the page cache.
type coldRow struct {
	name  string
	mode  string // of fio
	depth int
	bytes int
	args  []string // of iblast, beside depth and size
}

// coldBar is what ESOS has to reach of fio's own rate.
const coldBar = 0.95

func coldRows() []coldRow {
	var all []coldRow
	for _, q := range []int{1, 8, 32} {
		all = append(all,
			coldRow{fmt.Sprintf("cold-rr4k-q%d", q), "randread", q, 4096, nil},
			coldRow{fmt.Sprintf("cold-rw4k-q%d", q), "randwrite", q, 4096, []string{"-w"}})
	}
	return append(all,
		coldRow{"cold-seqr128k-q8", "read", 8, 128 << 10, []string{"-s"}},
		coldRow{"cold-seqw128k-q8", "write", 8, 128 << 10, []string{"-s", "-w"}},
		coldRow{"cold-seqr1m-q8", "read", 8, 1 << 20, []string{"-s"}},
		coldRow{"cold-seqw1m-q8", "write", 8, 1 << 20, []string{"-s", "-w"}})
}

// onDisk runs the rows whose data is on a disk, beside tgt and fio on the same file.
func (b *bench) onDisk(ctx context.Context, dir string, size int64) error {
	any := false
	for _, r := range coldRows() {
		any = any || b.want.MatchString(r.name)
	}
	if !any {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(dir, "bench-")
	if err != nil {
		return fmt.Errorf("make a directory on a disk: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	img := filepath.Join(dir, "cold.img")
	ours, err := startESOS(ctx, dir, disk{size: size, path: img, direct: true})
	if err != nil {
		return err
	}
	defer ours.stop()
	if err := b.fill(ctx, ours); err != nil {
		return err
	}
	peer, err := startTgt(ctx, dir, disk{size: size, path: img})
	if err != nil {
		return err
	}
	defer peer.stop()
	fmt.Printf("%-20s %9s %9s %6s %9s %6s %9s %6s %7s %7s  %s\n", "row", "esos iops", "fio iops", "ratio", "tgt iops", "ratio",
		"esos cpu", "ratio", "p50 us", "p99 us", "bar")
	for _, r := range coldRows() {
		if !b.want.MatchString(r.name) {
			continue
		}
		var got, tgt, fio []result
		load := row{name: r.name, args: append([]string{"-q", strconv.Itoa(r.depth), "-b", strconv.Itoa(r.bytes), "-L", strconv.FormatInt(size, 10)}, r.args...)}
		for range b.rounds {
			m, err := b.load(ctx, ours, load, b.secs)
			if err != nil {
				return fmt.Errorf("row %s: %w", r.name, err)
			}
			p, err := b.load(ctx, peer, load, b.secs)
			if err != nil {
				return fmt.Errorf("row %s: %w", r.name, err)
			}
			f, err := runFio(ctx, img, r, size, b.secs)
			if err != nil {
				return fmt.Errorf("row %s: %w", r.name, err)
			}
			fmt.Fprintf(b.keep, "BenchmarkLoad/fio/%s 1 %.0f io/s\n", r.name, f.iops)
			got, tgt, fio = append(got, m), append(tgt, p), append(fio, f)
		}
		iops := ratio(got, fio, ofIOPS)
		verdict := "held"
		if iops < coldBar {
			verdict = "MISSED"
			b.missed = append(b.missed, fmt.Sprintf("%s: %.2f of fio's rate; wanted %.2f", r.name, iops, coldBar))
		}
		fmt.Printf("%-20s %9.0f %9.0f %6.2f %9.0f %6.2f %9.3f %6.2f %7.0f %7.0f  >=%.2f %s\n", r.name, median(got, ofIOPS), median(fio, ofIOPS), iops,
			median(tgt, ofIOPS), ratio(got, tgt, ofIOPS), median(got, ofCPU), ratio(got, tgt, ofCPU), median(got, ofP50), median(got, ofP99), coldBar, verdict)
	}
	return nil
}

// runFio is fio on the file itself.
func runFio(ctx context.Context, file string, r coldRow, size int64, secs float64) (result, error) {
	out, err := exec.CommandContext(ctx, "fio", "--name=cold", "--filename="+file, "--rw="+r.mode, "--bs="+strconv.Itoa(r.bytes),
		"--iodepth="+strconv.Itoa(r.depth), "--ioengine=libaio", "--direct=1", "--time_based", fmt.Sprintf("--runtime=%gms", secs*1000),
		fmt.Sprintf("--size=%d", size), "--output-format=json").Output()
	if err != nil {
		return result{}, fmt.Errorf("fio: %w", err)
	}
	var report struct {
		Jobs []struct {
			Read, Write struct {
				IOPS float64 `json:"iops"`
			}
		}
	}
	if err := json.Unmarshal(out, &report); err != nil || len(report.Jobs) != 1 {
		return result{}, fmt.Errorf("read fio's report: %w: %s", err, out)
	}
	return result{iops: report.Jobs[0].Read.IOPS + report.Jobs[0].Write.IOPS}, nil
}
