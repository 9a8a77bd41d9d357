package lvm

import (
	"context"
	"strconv"
)

// Attach puts a cache in front of a volume: the volume fast of the same group,
// which is nobody's but the cache's. kind is cache or writecache, sector the
// size of the sectors that the volume's users see.
//
// --yes answers whether the data on fast is erased: it was just made for this
// and has none (lvmcache(7)).
func (t Tool) Attach(ctx context.Context, group, name, fast, kind, mode string, sector int) error {
	args := []string{"--yes", "--type", kind, "--cachevol", Full(group, fast)}
	if kind == "cache" {
		args = append(args, "--cachemode", mode)
	} else {
		// Blocks larger than the volume's sectors would become its sectors,
		// under partition tables and file systems that count in smaller ones.
		args = append(args, "--cachesettings", "block_size="+strconv.Itoa(sector))
	}
	return t.run(ctx, "lvconvert", append(args, Full(group, name))...)
}

// Detach writes what the cache of a volume holds back to it and removes the
// cache. LVM asks where the cache's device is missing, and that is a no.
func (t Tool) Detach(ctx context.Context, group, name string) error {
	return t.run(ctx, "lvconvert", "--uncache", Full(group, name))
}

// SetCacheMode says when a write is acknowledged.
func (t Tool) SetCacheMode(ctx context.Context, group, name, mode string) error {
	return t.run(ctx, "lvchange", "--cachemode", mode, Full(group, name))
}
