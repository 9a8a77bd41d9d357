package volumes

import (
	"testing"

	"github.com/esos-project/esos/internal/config"
)

// TestSize: sizes in any unit, and parts of what fits, which is less than what
// is free where copies, parity and metadata take their share.
func TestSize(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	at := func(kind config.VolumeType, more ...int) shape {
		s := shape{kind: kind, extent: 4 * mib, free: 1024 * mib}
		if len(more) > 0 {
			s.stripes = more[0]
		}
		if len(more) > 1 {
			s.mirrors = more[1]
		}
		return s
	}
	for _, c := range []struct {
		shape shape
		text  string
		want  int64 // 0: refused
	}{
		{at(config.Linear), "100%", 1024 * mib},
		{at(config.Linear), "50 %", 512 * mib},
		{at(config.Linear), "33.3%", 340 * mib},
		{at(config.Linear), "0%", 0},
		{at(config.Linear), "101%", 0},
		{at(config.Linear), "NaN%", 0},
		{at(config.Linear), "0.1%", 0},
		{at(config.Linear), "1GiB", 1024 * mib},
		{at(config.Linear), "1.5G", 0},
		{at(config.Linear), "0", 0},
		{at(config.Linear), "", 0},
		{at(config.Linear), "much", 0},
		{at(config.Striped, 3), "100%", 1020 * mib},
		{at(config.RAID1), "100%", 508 * mib},
		{at(config.RAID1, 0, 2), "100%", (256/3 - 1) * 4 * mib},
		{at(config.RAID5), "100%", (256/3 - 1) * 2 * 4 * mib},
		{at(config.RAID6, 4), "100%", (256/6 - 1) * 4 * 4 * mib},
		{at(config.RAID10), "100%", (256/4 - 1) * 2 * 4 * mib},
		{at(config.ThinPool), "100%", 1016 * mib},
		{shape{kind: config.ThinDisk, extent: 4 * mib, free: -1}, "100TiB", 100 << 40},
		{shape{kind: config.ThinDisk, extent: 4 * mib, free: -1}, "50%", 0},
		{shape{kind: config.RAID5, extent: 4 * mib, free: 4 * mib}, "1%", 0},
	} {
		got, err := c.shape.size(c.text)
		if (err != nil) != (c.want == 0) || err == nil && int64(got) != c.want {
			t.Errorf("%+v: %q is %d, %v; want %d", c.shape, c.text, got, err, c.want)
		}
	}
}

func TestLarger(t *testing.T) {
	t.Parallel()
	free := shape{kind: config.Linear, extent: 4 << 20, free: 1 << 30}
	for text, want := range map[string]config.Size{
		"2GiB": 2 << 30, "+512MiB": 3 << 29, "+100%": 2 << 30, " +1G": 2 << 30,
		"1GiB": 0, "512MiB": 0, "3GiB": 0, "+2GiB": 0, "50%": 0, "+": 0, "": 0, "+-1": 0,
	} {
		got, err := larger(1<<30, text, free)
		if (err != nil) != (want == 0) || err == nil && got != want {
			t.Errorf("%q is %s, %v; want %s", text, got, err, want)
		}
	}
}
