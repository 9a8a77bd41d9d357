package boot

import (
	"context"
	"fmt"
	"strings"
)

// checkFileSystems runs e2fsck on those of the medium's file systems that say
// that they need it. One that it cannot put right is only read from then on.
func (b *Boot) checkFileSystems(ctx context.Context) error {
	if b.report.Options.ISO != NoISO {
		return nil
	}
	labels := []string{labelRoot, labelConf}
	if b.report.Mode == ModePersist {
		labels = append(labels, labelLogs)
	}
	for _, label := range labels {
		p, ok := b.report.Medium.Partitions[label]
		if !ok || p.check == "" {
			continue
		}
		b.say("checking %s (%s): %s", label, p.Device, p.check)
		p.Problem = b.checkFileSystem(ctx, p.Device)
		if p.Problem != "" {
			b.warn("%s (%s) is damaged and is only read: %s", label, p.Device, p.Problem)
		}
		p.check = "" // once in a boot, however often the stages are tried
		b.report.Medium.Partitions[label] = p
	}
	return nil
}

// Exit status of e2fsck, e2fsck(8).
const (
	fsckCorrected = 1
	fsckReboot    = 2 // of a mounted root; this one is not mounted
)

func (b *Boot) checkFileSystem(ctx context.Context, device string) (problem string) {
	out, status, err := b.Linux.Run(ctx, "e2fsck", "-p", b.path(device))
	out = strings.Join(strings.Fields(out), " ")
	switch {
	case err != nil:
		return fmt.Sprintf("e2fsck could not be run: %v", err)
	case status&^(fsckCorrected|fsckReboot) != 0:
		return fmt.Sprintf("e2fsck -p ended with status %d: %s", status, out)
	}
	b.Log.Info("e2fsck", "device", device, "status", status, "output", out)
	return ""
}
