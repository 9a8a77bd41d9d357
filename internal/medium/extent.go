package medium

import (
	"cmp"
	"slices"
)

// Extent is a run of bytes.
type Extent struct{ At, Size int64 }

// End is the first byte behind e.
func (e Extent) End() int64 { return e.At + e.Size }

// block is what extents are rounded to: what drives and file systems take
// without reading first, and direct I/O asks for.
const block = 4096

// merge sorts extents, rounds them out to blocks, cuts them at size, and joins
// those that touch.
func merge(extents []Extent, size int64) []Extent {
	for i, e := range extents {
		from, to := e.At&^(block-1), min((e.End()+block-1)&^(block-1), size)
		extents[i] = Extent{from, to - from}
	}
	slices.SortFunc(extents, func(a, b Extent) int { return cmp.Compare(a.At, b.At) })
	var merged []Extent
	for _, e := range extents {
		if e.Size <= 0 {
			continue
		}
		if n := len(merged); n > 0 && e.At <= merged[n-1].End() {
			merged[n-1].Size = max(merged[n-1].End(), e.End()) - merged[n-1].At
			continue
		}
		merged = append(merged, e)
	}
	return merged
}
