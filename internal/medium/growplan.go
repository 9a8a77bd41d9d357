package medium

import (
	"fmt"

	"github.com/diskfs/go-diskfs/partition/gpt"
)

// On a drive that is larger than largeDrive the logs get largeLogs, and the
// rest is esos_data. On others the logs get all.
const (
	largeDrive = 128 * gib
	largeLogs  = 64 * gib
	// smallChange is not worth touching a partition table for.
	smallChange = 16 * mib
)

// growPlan says how the partitions of a medium are to be on a drive of size
// bytes. Nothing is ever moved or made smaller: only the last one grows, and
// esos_data is added behind it.
func growPlan(parts []Partition, size int64) ([]Partition, error) {
	end := (size - gptEnd) &^ (align - 1)
	grown := append([]Partition{}, parts...)
	last := 0
	for i, p := range grown {
		if p.End() > grown[last].End() {
			last = i
		}
	}
	logs := -1
	for i, p := range grown {
		if p.Label == LabelLogs {
			logs = i
		}
	}
	switch _, hasData := Labelled(grown, LabelData); {
	case logs < 0:
		return nil, fmt.Errorf("grow the medium: it has no partition %s", LabelLogs)
	case hasData && grown[last].Label == LabelData:
		grow(&grown[last], end)
	case last != logs:
		return nil, fmt.Errorf("grow the medium: partition %s is behind %s", grown[last].Label, LabelLogs)
	case size <= largeDrive:
		grow(&grown[logs], end)
	default:
		grow(&grown[logs], min(end, grown[logs].Start+max(grown[logs].Size, largeLogs)))
		if start := grown[logs].End(); end-start >= gib {
			grown = append(grown, Partition{Number: free(grown), Label: LabelData, Start: start, Size: end - start, Type: gpt.LinuxFilesystem})
		}
	}
	return grown, nil
}

func grow(p *Partition, end int64) {
	if end-p.End() >= smallChange {
		p.Size = end - p.Start
	}
}

// free is the first number without a partition.
func free(parts []Partition) int {
	for n := 1; ; n++ {
		taken := false
		for _, p := range parts {
			taken = taken || p.Number == n
		}
		if !taken {
			return n
		}
	}
}
