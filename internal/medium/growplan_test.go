package medium

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGrowPlan(t *testing.T) {
	fresh := DefaultSizes().Layout()
	logs := fresh[4]
	last := func(size int64) int64 { return (size - gptEnd) &^ (align - 1) }
	with := func(size int64, more ...Partition) []Partition {
		parts := append([]Partition{}, fresh...)
		parts[4].Size = size
		return append(parts, more...)
	}
	data := func(start, end int64) Partition {
		return Partition{Number: 6, Label: LabelData, Start: start, Size: end - start, Type: logs.Type}
	}
	for name, test := range map[string]struct {
		parts []Partition
		size  int64
		want  []Partition
	}{
		"an image":          {fresh, DefaultSizes().Total(), fresh},
		"a little more":     {fresh, DefaultSizes().Total() + 8*mib, fresh},
		"a stick":           {fresh, 8 * gib, with(last(8*gib) - logs.Start)},
		"of no round size":  {fresh, 8*gib + 513*512, with(last(8*gib+513*512) - logs.Start)},
		"just not large":    {fresh, 128 * gib, with(last(128*gib) - logs.Start)},
		"a large drive":     {fresh, 480 * gib, with(64*gib, data(logs.Start+64*gib, last(480*gib)))},
		"grown already":     {with(64*gib, data(logs.Start+64*gib, last(480*gib))), 480 * gib, with(64*gib, data(logs.Start+64*gib, last(480*gib)))},
		"copied to larger":  {with(64*gib, data(logs.Start+64*gib, last(480*gib))), 960 * gib, with(64*gib, data(logs.Start+64*gib, last(960*gib)))},
		"a stick to larger": {with(100 * gib), 480 * gib, with(100*gib, data(logs.Start+100*gib, last(480*gib)))},
		"copied to smaller": {with(100 * gib), 50 * gib, with(100 * gib)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := growPlan(test.parts, test.size)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := growPlan(fresh[:4], gib); err == nil {
		t.Error("a medium without esos_logs was grown")
	}
	other := append(append([]Partition{}, fresh...), Partition{Number: 6, Label: "mine", Start: logs.End(), Size: gib})
	if _, err := growPlan(other, 100*gib); err == nil {
		t.Error("esos_logs was grown into another partition")
	}
}

func TestMerge(t *testing.T) {
	for name, test := range map[string]struct{ in, want []Extent }{
		"sorted and joined": {[]Extent{{8192, 4096}, {0, 4096}, {4096, 4096}}, []Extent{{0, 12288}}},
		"overlapping":       {[]Extent{{0, 10000}, {4096, 4096}}, []Extent{{0, 12288}}},
		"rounded":           {[]Extent{{5000, 1}}, []Extent{{4096, 4096}}},
		"cut at the end":    {[]Extent{{98304, 10000}}, []Extent{{98304, 1696}}},
		"apart":             {[]Extent{{0, 1}, {8192, 1}}, []Extent{{0, 4096}, {8192, 4096}}},
		"nothing":           {nil, nil},
	} {
		if diff := cmp.Diff(test.want, merge(test.in, 100000)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestLayout(t *testing.T) {
	parts := DefaultSizes().Layout()
	for i, p := range parts {
		if p.Start%align != 0 || p.Size%align != 0 || p.Number != i+1 || i > 0 && p.Start != parts[i-1].End() {
			t.Errorf("partition %+v is out of place", p)
		}
	}
	if total := DefaultSizes().Total(); total > 4e9*95/100 {
		t.Errorf("a medium takes %d bytes: a stick of 4 GB has not many more", total)
	}
	if PartitionPath("/dev/sda", 3) != "/dev/sda3" || PartitionPath("/dev/nvme0n1", 3) != "/dev/nvme0n1p3" {
		t.Error("paths of partitions")
	}
}

func TestIdentity(t *testing.T) {
	a, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if a == b || a.UUID("x") == b.UUID("x") || a.UUID("x") == a.UUID("y") {
		t.Error("identities do not tell media apart")
	}
	// Media that were made must keep what they have.
	if got := Identity("test").UUID("disk").String(); got != "075986e4-d871-508b-9b2b-80ab6f8f0db4" {
		t.Errorf("the derivation of UUIDs changed: %s", got)
	}
}
