package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// result is one measurement.
type result struct {
	iops, mbps, cpu, p50, p99 float64
	slowest                   float64 // session, as a part of the mean
}

// load runs iblast once.
func (b *bench) load(ctx context.Context, t *target, r row, secs float64) (result, error) {
	v, err := b.iblast(ctx, t, r.pinned, secs, append([]string{"-t", fmt.Sprint(secs)}, r.args...)...)
	if err != nil {
		return result{}, err
	}
	if v["iops"] == 0 || v["errs"] != 0 {
		return result{}, errors.New("iblast did no I/O or met errors")
	}
	if r.name != "" {
		fmt.Fprintf(b.keep, "BenchmarkLoad/%s/%s 1 %.0f io/s %.3f cpu-s/100k-io %.1f p50-us %.1f p99-us\n",
			t.name, r.name, v["iops"], v["tgtcpu_s_per_100k"], v["p50us"], v["p99us"])
	}
	return result{v["iops"], v["MBps"], v["tgtcpu_s_per_100k"], v["p50us"], v["p99us"], v["slowest_of_mean"]}, nil
}

// iblast runs the load generator and reads its lines of "name value" pairs.
func (b *bench) iblast(ctx context.Context, t *target, pinned bool, secs float64, args ...string) (map[string]float64, error) {
	args = append([]string{b.blast, "-p", strconv.Itoa(t.pid)}, args...)
	args = append(args, t.addr, t.iqn, strconv.Itoa(t.lun))
	if pinned {
		if err := pin(t.pid, "0"); err != nil {
			return nil, err
		}
		defer func() { _ = pin(t.pid, fmt.Sprintf("0-%d", cpus()-1)) }()
		args = append([]string{"taskset", "-c", "0"}, args...)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(secs*float64(time.Second))+60*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("iblast: %w: %s", err, out)
	}
	fields := strings.Fields(string(out))
	v := map[string]float64{}
	for i := 0; i+1 < len(fields); i += 2 {
		v[fields[i]], _ = strconv.ParseFloat(fields[i+1], 64)
	}
	return v, nil
}

// pin moves every thread of a process to the processors listed.
func pin(pid int, list string) error {
	if out, err := exec.Command("taskset", "-acp", list, strconv.Itoa(pid)).CombinedOutput(); err != nil {
		return fmt.Errorf("pin process %d to processor %s: %w: %s", pid, list, err, out)
	}
	return nil
}

// ratio is the median of the ratios pair by pair.
func ratio(ours, peers []result, f func(result) float64) float64 {
	all := make([]float64, len(ours))
	for i := range ours {
		all[i] = f(ours[i]) / max(f(peers[i]), 1e-9)
	}
	return median(all, func(r float64) float64 { return r })
}

func ofIOPS(r result) float64    { return r.iops }
func ofCPU(r result) float64     { return r.cpu }
func ofP50(r result) float64     { return r.p50 }
func ofP99(r result) float64     { return r.p99 }
func ofSlowest(r result) float64 { return r.slowest }

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
