// Command peers measures ESOS and another iSCSI target side by side: equal
// files in memory, turn about in one run, so that a machine whose speed
// drifts slows both. It prints medians of the ratios pair by pair, and the CPU
// seconds that each server took for 100,000 I/Os.
//
//	go run ./bench/peers -rounds 5 -secs 3 -rows 'rr4k|rw4k'
//
// It needs bin/esos and bin/esos-target (make build), gcc, tgt and taskset.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
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

// row is one line of the table: a load and where it runs.
type row struct {
	name   string
	args   []string // of iblast
	pinned bool     // server and client share core 0
}

// result is one measurement.
type result struct{ iops, mbps, cpu, p50, p99 float64 }

func rows() []row {
	var all []row
	for _, pinned := range []bool{false, true} {
		suffix := ""
		if pinned {
			suffix = "-pin"
		}
		for _, q := range []string{"1", "8", "32", "64"} {
			all = append(all,
				row{"rr4k-q" + q + suffix, []string{"-q", q}, pinned},
				row{"rw4k-q" + q + suffix, []string{"-q", q, "-w"}, pinned})
		}
	}
	for _, size := range []struct{ name, bytes string }{{"128k", "131072"}, {"1m", "1048576"}} {
		all = append(all,
			row{"seqr" + size.name + "-q8", []string{"-q", "8", "-s", "-b", size.bytes}, false},
			row{"seqw" + size.name + "-q8", []string{"-q", "8", "-s", "-b", size.bytes, "-w"}, false})
	}
	for _, q := range []string{"8", "32"} {
		all = append(all,
			row{"4sess-rr4k-q" + q, []string{"-n", "4", "-q", q}, false},
			row{"4sess-rw4k-q" + q, []string{"-n", "4", "-q", q, "-w"}, false})
	}
	return append(all,
		row{"4sess-seqr128k-q8", []string{"-n", "4", "-q", "8", "-s", "-b", "131072"}, false},
		row{"4sess-seqw128k-q8", []string{"-n", "4", "-q", "8", "-s", "-b", "131072", "-w"}, false})
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(1)
	}
}

func run() error {
	rounds := flag.Int("rounds", 5, "rounds; each measures every target once a row")
	secs := flag.Float64("secs", 3, "seconds of load a measurement")
	only := flag.String("rows", ".", "regular expression of the rows to run")
	size := flag.Int64("size", 1<<30, "bytes of each target's file")
	atLeast := flag.Float64("at-least", 0, "fail if the median ratio of a row is below this")
	flag.Parse()
	want, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-rows: %w", err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	dir, err := os.MkdirTemp("/dev/shm", "esos-bench-")
	if err != nil {
		return fmt.Errorf("make a directory for the files in memory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	blast := filepath.Join(dir, "iblast")
	if out, err := exec.CommandContext(ctx, "gcc", "-O2", "-o", blast, "bench/iblast/iblast.c").CombinedOutput(); err != nil {
		return fmt.Errorf("compile iblast: %w: %s", err, out)
	}

	ours, err := startESOS(ctx, filepath.Join(dir, "esos"), *size)
	if err != nil {
		return err
	}
	defer ours.stop()
	peer, err := startTgt(ctx, filepath.Join(dir, "tgt"), *size)
	if err != nil {
		return err
	}
	defer peer.stop()
	targets := []*target{ours, peer}
	for _, t := range targets { // every block written once, so that no row reads holes
		if _, err := measure(ctx, blast, t, row{args: []string{"-F", "-q", "8", "-b", "1048576"}}, 60); err != nil {
			return fmt.Errorf("fill %s: %w", t.name, err)
		}
	}

	fmt.Printf("%-20s %10s %10s %7s %9s %9s %7s %8s %8s %8s %8s\n", "row", "esos iops", "tgt iops", "ratio",
		"esos cpu", "tgt cpu", "ratio", "esos p50", "tgt p50", "esos p99", "tgt p99")
	var slow []string
	for _, r := range rows() {
		if !want.MatchString(r.name) {
			continue
		}
		var got [2][]result
		var ratios, cpuRatios []float64
		for range *rounds {
			for i, t := range targets {
				m, err := measure(ctx, blast, t, r, *secs)
				if err != nil {
					return fmt.Errorf("row %s, target %s: %w", r.name, t.name, err)
				}
				got[i] = append(got[i], m)
			}
			last := len(got[0]) - 1
			ratios = append(ratios, got[0][last].iops/got[1][last].iops)
			cpuRatios = append(cpuRatios, got[0][last].cpu/max(got[1][last].cpu, 1e-9))
		}
		pick := func(i int, f func(result) float64) float64 { return median(got[i], f) }
		iops, cpu := func(r result) float64 { return r.iops }, func(r result) float64 { return r.cpu }
		p50, p99 := func(r result) float64 { return r.p50 }, func(r result) float64 { return r.p99 }
		same := func(f float64) float64 { return f }
		ratio := median(ratios, same)
		fmt.Printf("%-20s %10.0f %10.0f %7.2f %9.3f %9.3f %7.2f %8.0f %8.0f %8.0f %8.0f\n", r.name, pick(0, iops), pick(1, iops), ratio,
			pick(0, cpu), pick(1, cpu), median(cpuRatios, same), pick(0, p50), pick(1, p50), pick(0, p99), pick(1, p99))
		if ratio < *atLeast {
			slow = append(slow, fmt.Sprintf("%s (%.2f)", r.name, ratio))
		}
	}
	if slow != nil {
		return fmt.Errorf("below %.2f of the peer: %s", *atLeast, strings.Join(slow, ", "))
	}
	return nil
}

func median[T any](all []T, f func(T) float64) float64 {
	v := make([]float64, len(all))
	for i, x := range all {
		v[i] = f(x)
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// measure runs iblast once and reads its line of "name value" pairs.
func measure(ctx context.Context, blast string, t *target, r row, secs float64) (result, error) {
	args := append([]string{blast, "-t", fmt.Sprint(secs), "-p", strconv.Itoa(t.pid)}, r.args...)
	args = append(args, t.addr, t.iqn, strconv.Itoa(t.lun))
	if r.pinned {
		if err := pin(t.pid, "0"); err != nil {
			return result{}, err
		}
		defer func() { _ = pin(t.pid, fmt.Sprintf("0-%d", cpus()-1)) }()
		args = append([]string{"taskset", "-c", "0"}, args...)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(secs*float64(time.Second))+60*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return result{}, fmt.Errorf("iblast: %w: %s", err, out)
	}
	fields := strings.Fields(string(out))
	v := map[string]float64{}
	for i := 0; i+1 < len(fields); i += 2 {
		v[fields[i]], _ = strconv.ParseFloat(fields[i+1], 64)
	}
	if v["iops"] == 0 || v["errs"] != 0 {
		return result{}, errors.New("iblast did no I/O or met errors: " + string(out))
	}
	return result{v["iops"], v["MBps"], v["tgtcpu_s_per_100k"], v["p50us"], v["p99us"]}, nil
}

// pin moves every thread of a process to the processors listed.
func pin(pid int, list string) error {
	if out, err := exec.Command("taskset", "-acp", list, strconv.Itoa(pid)).CombinedOutput(); err != nil {
		return fmt.Errorf("pin process %d to processor %s: %w: %s", pid, list, err, out)
	}
	return nil
}
