// Command peers measures ESOS and other servers of the same bytes side by
// side, turn about in one run, so that a machine whose speed drifts slows both.
// It prints medians of the ratios pair by pair, and the CPU seconds that each
// server took for 100,000 I/Os.
//
//	go run ./bench/peers -rounds 5 -secs 3 -rows 'rr4k|rw4k'
//
// The peer is Debian's tgt with equal files in memory; for data that is not in
// memory it is fio on the very file. Rows with a bar are held against it.
//
// It needs bin/esos and bin/esos-target (make build), gcc, tgt, fio and taskset.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// target is a server under load.
type target struct {
	name string
	addr string
	iqn  string
	lun  int
	pid  int
	stop func()
}

// bench is one run.
type bench struct {
	rounds int
	secs   float64
	want   *regexp.Regexp // rows to run
	blast  string         // the compiled iblast
	keep   io.Writer      // every measurement, as benchstat reads them
	missed []string       // bars that did not hold, as sentences
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(1)
	}
}

func run() error {
	b := bench{}
	flag.IntVar(&b.rounds, "rounds", 5, "rounds; each measures every target once a row")
	flag.Float64Var(&b.secs, "secs", 3, "seconds of load a measurement")
	only := flag.String("rows", ".", "regular expression of the rows to run")
	size := flag.Int64("size", 1<<30, "bytes of each target's file")
	disk := flag.String("disk", ".cache", "directory on a disk, for the rows whose data is not in memory")
	out := flag.String("out", "", "file that keeps every measurement in the form of Go benchmarks, for benchstat")
	strict := flag.Bool("strict", false, "fail if a bar does not hold")
	flag.Parse()
	var err error
	if b.want, err = regexp.Compile(*only); err != nil {
		return fmt.Errorf("-rows: %w", err)
	}
	b.keep = io.Discard
	if *out != "" {
		f, err := os.Create(*out)
		if err != nil {
			return fmt.Errorf("-out: %w", err)
		}
		defer func() { _ = f.Close() }()
		fmt.Fprintf(f, "goos: %s\ngoarch: %s\npkg: github.com/esos-project/esos/bench/peers\n", runtime.GOOS, runtime.GOARCH)
		b.keep = f
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	dir, err := os.MkdirTemp("/dev/shm", "esos-bench-")
	if err != nil {
		return fmt.Errorf("make a directory for the files in memory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b.blast = filepath.Join(dir, "iblast")
	if out, err := exec.CommandContext(ctx, "gcc", "-O2", "-o", b.blast, "bench/iblast/iblast.c").CombinedOutput(); err != nil {
		return fmt.Errorf("compile iblast: %w: %s", err, out)
	}
	if err := b.inMemory(ctx, dir, *size); err != nil {
		return err
	}
	if err := b.onDisk(ctx, *disk, *size); err != nil {
		return err
	}
	for _, m := range b.missed {
		fmt.Println("below its bar:", m)
	}
	if *strict && b.missed != nil {
		return errors.New("bars do not hold: " + strings.Join(b.missed, "; "))
	}
	return nil
}

// inMemory runs the rows whose data is in memory: first those beside tgt, then
// those of ESOS alone.
func (b *bench) inMemory(ctx context.Context, dir string, size int64) error {
	var besides, alones bool
	for _, r := range rows() {
		besides = besides || b.want.MatchString(r.name)
	}
	for _, a := range alone() {
		alones = alones || b.want.MatchString(a.name)
	}
	if !besides && !alones {
		return nil
	}
	ours, err := startESOS(ctx, filepath.Join(dir, "esos"), disk{size: size})
	if err != nil {
		return err
	}
	defer ours.stop()
	if err := b.fill(ctx, ours); err != nil {
		return err
	}
	if besides {
		peer, err := startTgt(ctx, filepath.Join(dir, "tgt"), disk{size: size})
		if err != nil {
			return err
		}
		defer peer.stop()
		if err := b.fill(ctx, peer); err != nil {
			return err
		}
		if err := b.beside(ctx, ours, peer); err != nil {
			return err
		}
	}
	return b.byItself(ctx, ours)
}

// fill writes every block once, so that no row reads holes.
func (b *bench) fill(ctx context.Context, t *target) error {
	if _, err := b.load(ctx, t, row{args: []string{"-F", "-q", "8", "-b", "1048576"}}, 60); err != nil {
		return fmt.Errorf("fill %s: %w", t.name, err)
	}
	return nil
}
