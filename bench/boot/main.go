// Command boot measures how long the appliance and a stock Debian take from
// the first line of their kernel until they serve: the appliance a LUN, Debian
// its SSH greeting. Both boot in the same virtual machine, from a virtio disk,
// turn about, each after a first boot that is not counted.
//
//	go run ./bench/boot -rounds 3
//
// It needs QEMU, libiscsi's tools and mmdebstrap (scripts/install-deps), and
// makes the appliance's image if it is not there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-boot:", err)
		os.Exit(1)
	}
}

// contender is a system that boots.
type contender struct {
	name  string
	until string // what it is measured to
	start func(ctx context.Context, dir string, first bool) (booting, error)
	took  []time.Duration
}

// booting is a system on its way up.
type booting struct {
	machine *vm.Machine
	ready   func(context.Context) error
}

// bootTimeout is far beyond what translated code on a busy machine takes.
const bootTimeout = 15 * time.Minute

func run(ctx context.Context) error {
	rounds := flag.Int("rounds", 3, "rounds; each boots both")
	memory := flag.Int("memory", 2048, "MiB of the virtual machine")
	cpus := flag.Int("cpus", 2, "processors of the virtual machine")
	atMost := flag.Float64("at-most", 0, "fail if the median ratio is above this")
	flag.Parse()
	if *rounds < 1 {
		return fmt.Errorf("-rounds %d: want 1 at least", *rounds)
	}
	accel, err := vm.Probe(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "esos-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	shape := vm.Config{Memory: *memory, CPUs: *cpus, Machine: "q35", Accel: accel, Network: true, Reboots: true}
	root, err := sourceRoot()
	if err != nil {
		return err
	}
	lab, err := appliance.Open(ctx, root, dir, os.Stderr)
	if err != nil {
		return err
	}
	ours, err := newAppliance(ctx, lab, shape)
	if err != nil {
		return err
	}
	stock, err := newStock(ctx, lab, shape, filepath.Join(root, ".cache", "bench-boot"))
	if err != nil {
		return err
	}
	both := []*contender{ours, stock}
	for _, c := range both {
		if err := c.firstBoot(ctx, dir); err != nil {
			return err
		}
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	fmt.Printf("\n%d processors, %d MiB, %s; load of this machine before: %s\n", *cpus, *memory, accel, strings.Join(strings.Fields(string(load))[:3], " "))
	fmt.Printf("seconds from the kernel's first line to %s, to %s\n", ours.until, stock.until)
	fmt.Printf("%-8s %14s %14s %8s\n", "round", ours.name, stock.name, "ratio")
	ratios := make([]float64, *rounds)
	for i := range *rounds {
		order := slices.Clone(both)
		if i%2 == 1 { // who goes first is no advantage
			slices.Reverse(order)
		}
		for _, c := range order {
			if err := c.measure(ctx, dir); err != nil {
				return fmt.Errorf("round %d: %w", i+1, err)
			}
		}
		ratios[i] = ours.took[i].Seconds() / stock.took[i].Seconds()
		fmt.Printf("%-8d %14.1f %14.1f %8.2f\n", i+1, ours.took[i].Seconds(), stock.took[i].Seconds(), ratios[i])
	}
	ratio := median(ratios)
	fmt.Printf("%-8s %14.1f %14.1f %8.2f\n", "median", median(seconds(ours.took)), median(seconds(stock.took)), ratio)
	if *atMost > 0 && ratio > *atMost {
		return fmt.Errorf("the appliance takes %.2f times as long as stock Debian; at most %.2f was asked for", ratio, *atMost)
	}
	return nil
}

// firstBoot boots once with writes kept, so that what is only done once is not
// measured, and switches off as one should.
func (c *contender) firstBoot(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	fmt.Printf("first boot of %s\n", c.name)
	b, err := c.start(ctx, dir, true)
	if err != nil {
		return err
	}
	defer func() { _ = b.machine.Close() }()
	if err := b.ready(ctx); err != nil {
		return fmt.Errorf("first boot of %s: %w", c.name, err)
	}
	if err := b.machine.WaitFor(ctx, "login: "); err != nil {
		return fmt.Errorf("first boot of %s: %w", c.name, err)
	}
	if err := b.machine.PowerOff(ctx); err != nil {
		return fmt.Errorf("first boot of %s: %w", c.name, err)
	}
	return nil
}

// measure boots once and forgets what was written.
func (c *contender) measure(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	b, err := c.start(ctx, dir, false)
	if err != nil {
		return err
	}
	err = b.machine.WaitFor(ctx, appliance.KernelMarker)
	start := time.Now()
	if err == nil {
		err = b.ready(ctx)
	}
	took := time.Since(start)
	if err := errors.Join(err, b.machine.Close()); err != nil {
		return fmt.Errorf("boot %s: %w", c.name, err)
	}
	c.took = append(c.took, took)
	return nil
}

// newAppliance is the image as a drive with a data disk that it serves.
func newAppliance(ctx context.Context, lab *appliance.Lab, shape vm.Config) (*contender, error) {
	medium, err := lab.Medium(ctx, "medium")
	if err != nil {
		return nil, err
	}
	data, err := lab.Blank("data", 1<<30)
	if err != nil {
		return nil, err
	}
	return &contender{
		name: "appliance", until: "a served LUN",
		start: func(ctx context.Context, dir string, first bool) (booting, error) {
			m, err := lab.Start(ctx, appliance.Options{
				Dir: dir, Memory: shape.Memory, CPUs: shape.CPUs, Accel: shape.Accel, Data: data,
				Boot: vm.Drive{File: medium, Snapshot: !first},
			})
			if err != nil {
				return booting{}, err
			}
			return booting{m.Machine, func(ctx context.Context) error {
				_, err := m.WaitServed(ctx)
				return err
			}}, nil
		},
	}, nil
}

// sourceRoot is the directory of the module, above or at the current one.
func sourceRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("there is no go.mod here or above: run it in ESOS's source")
		}
	}
}

func seconds(d []time.Duration) []float64 {
	s := make([]float64, len(d))
	for i := range d {
		s[i] = d[i].Seconds()
	}
	return s
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}
