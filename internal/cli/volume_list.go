package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

// listedVolume is a volume as it is declared and as it is.
type listedVolume struct {
	Group string `json:"group"`
	config.Volume
	Now *v1.VolumeState `json:"now,omitempty"`
}

// listedVolumeGroup is a volume group as it is declared and as it is.
type listedVolumeGroup struct {
	config.VolumeGroup
	Now *v1.VolumeGroupState `json:"now,omitempty"`
}

// readGroups reads the groups that are declared and others that there are, and
// how they are where that is known.
func (a *app) readGroups(ctx context.Context, c *client.Client) (*config.Document, []listedVolumeGroup, error) {
	d, err := c.Document(ctx, false)
	if err != nil {
		return nil, nil, err
	}
	doc, err := config.Decode("the array's document", d.Text)
	if err != nil {
		return nil, nil, err
	}
	now, err := c.Storage(ctx)
	if err != nil {
		now.Problems = []string{err.Error()}
	}
	for _, p := range now.Problems {
		fmt.Fprintf(a.err, "esos: warning: how the volumes are is not known: %s\n", clean(p))
	}
	all := []listedVolumeGroup{}
	for _, g := range doc.Storage.VolumeGroups {
		l := listedVolumeGroup{VolumeGroup: g}
		if i := slices.IndexFunc(now.VolumeGroups, func(is v1.VolumeGroupState) bool { return is.Declared && is.Name == g.Name }); i >= 0 {
			l.Now = &now.VolumeGroups[i]
		}
		all = append(all, l)
	}
	for i, g := range now.VolumeGroups {
		if !g.Declared {
			l := listedVolumeGroup{VolumeGroup: config.VolumeGroup{Name: g.Name, UUID: g.UUID}, Now: &now.VolumeGroups[i]}
			for _, d := range g.Devices {
				l.Devices = append(l.Devices, d.Path)
			}
			all = append(all, l)
		}
	}
	return doc, all, nil
}

// volumes are the volumes of groups: declared ones, and others but snapshots.
func volumesOf(groups []listedVolumeGroup) []listedVolume {
	all := []listedVolume{}
	for _, g := range groups {
		declared := map[string]bool{}
		now := map[string]*v1.VolumeState{}
		if g.Now != nil {
			for i := range g.Now.Volumes {
				now[g.Now.Volumes[i].Name] = &g.Now.Volumes[i]
			}
		}
		for _, v := range g.Volumes {
			declared[v.Name], declared[v.Was] = true, true
			all = append(all, listedVolume{g.Name, v, now[v.Name]})
		}
		if g.Now == nil {
			continue
		}
		for i, v := range g.Now.Volumes {
			if !declared[v.Name] && !v.Snapshot {
				all = append(all, listedVolume{g.Name, config.Volume{Name: v.Name, Size: config.Size(v.Size), Pool: v.Pool}, &g.Now.Volumes[i]})
			}
		}
	}
	return all
}

func volumeType(v config.Volume) config.VolumeType { return cmp.Or(v.Type, config.Linear) }

// kind is what a volume is, in the document's words or in LVM's.
func (v listedVolume) kind() string {
	if v.Now != nil && !v.Now.Declared {
		return v.Now.Type
	}
	return string(volumeType(v.Volume))
}

// size is a clone's, too, which the document does not have.
func (v listedVolume) size() string {
	if v.Size == 0 && v.Now != nil {
		return sizeText(config.Size(v.Now.Size))
	}
	return sizeText(v.Size)
}

// full is how much of its space is used, where that is not all of it.
func (v listedVolume) full() string {
	if v.Now == nil || v.Now.Data == nil {
		return ""
	}
	return fmt.Sprintf("%.0f %%", *v.Now.Data)
}

func (v listedVolume) users(doc *config.Document) []string {
	if v.Now != nil && !v.Now.Declared {
		return []string{"not declared"}
	}
	return doc.UsersOf(v.Path(v.Group))
}

func (a *app) volumeList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the volumes", Args: cobra.NoArgs,
		Long: "List the volumes: those that the document declares, and others that volume groups have\nbesides. FULL is how much of the space of a pool, thin volume, cache or vdo is used.",
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			doc, groups, err := a.readGroups(ctx, c)
			if err != nil {
				return err
			}
			all := volumesOf(groups)
			return a.print(all, func(t *table) {
				t.head("volume", "type", "size", "pool", "cache", "full", "used by")
				for _, v := range all {
					t.row(v.Group+"/"+v.Name, v.kind(), v.size(), v.Pool, cacheText(v.Cache), v.full(), strings.Join(v.users(doc), ", "))
				}
			})
		}),
	}
}

func cacheText(c *config.Cache) string {
	switch {
	case c == nil:
		return ""
	case c.Type == "writecache":
		return "writecache " + c.Size.String()
	}
	return cmp.Or(c.Mode, "writethrough") + " " + c.Size.String()
}

func (a *app) volumeShow() *cobra.Command {
	return &cobra.Command{
		Use: "show GROUP/VOLUME", Short: "Show one volume", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeVolumes,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			group, name, err := splitVolume(args[0])
			if err != nil {
				return err
			}
			doc, groups, err := a.readGroups(ctx, c)
			if err != nil {
				return err
			}
			for _, v := range volumesOf(groups) {
				if v.Group == group && v.Name == name {
					return a.print(v, func(t *table) { v.show(t, doc) })
				}
			}
			_, _, err = doc.FindVolume(group, name)
			return err
		}),
	}
}

func (v listedVolume) show(t *table, doc *config.Document) {
	t.pair("Name", v.Name)
	t.pair("Group", v.Group)
	if v.Type != config.ThinPool {
		t.pair("Path", v.Path(v.Group))
	}
	t.pair("Type", v.kind())
	t.pair("Size", v.size())
	t.pair("Full", v.full())
	if n := v.Now; n != nil && n.Metadata != nil {
		t.pair("Metadata full", fmt.Sprintf("%.0f %%", *n.Metadata))
	}
	t.pair("Physical size", sizeText(v.Physical))
	t.pair("Pool", v.Pool)
	t.pair("Clone of", v.CloneOf)
	t.pair("Stripes", numberText(v.Stripes))
	t.pair("Stripe size", sizeText(v.StripeSize))
	t.pair("Mirrors", numberText(v.Mirrors))
	t.pair("Metadata", sizeText(v.Metadata))
	t.pair("Chunk", sizeText(v.Chunk))
	if v.Type == config.VDO {
		t.pair("Deduplication", yesNo(v.Deduplication == nil || *v.Deduplication))
		t.pair("Compression", yesNo(v.Compression == nil || *v.Compression))
	}
	t.pair("Read-only", yesNo(v.ReadOnly))
	t.pair("Cache", cacheText(v.Cache))
	if v.Cache != nil {
		t.pair("Cache device", v.Cache.Device)
	}
	t.pair("Devices", strings.Join(v.Devices, "\n\t"))
	if n := v.Now; n != nil {
		t.pair("Health", n.Health)
	}
	t.pair("Used by", strings.Join(v.users(doc), "\n\t"))
}
