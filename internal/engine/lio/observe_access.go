package lio

import (
	"maps"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// access tells who sees what, in the order of the words.
func (o *observer) access(t *config.Target, w targetWords, views []view) {
	all := w.hasEverybody()
	seen := map[string]bool{}
	for _, g := range w.Target.Groups {
		seen[g.Name] = true
		t.Groups = append(t.Groups, observedGroup(g, views))
	}
	var others []string
	for _, v := range views {
		for _, group := range v.acls {
			if !seen[group] {
				seen[group] = true
				others = append(others, group)
			}
		}
	}
	slices.Sort(others)
	for _, name := range others {
		t.Groups = append(t.Groups, observedGroup(config.Group{Name: name}, views))
	}
	luns := shownLUNs(views)
	if w.place().gate == nexusGate && t.Disabled {
		luns = slices.Clone(w.Target.LUNs) // see setNexus
	}
	if all == "" {
		t.LUNs = inOrder(w.Target.LUNs, luns)
		return
	}
	for i := range t.Groups {
		if t.Groups[i].Name == all {
			t.Groups[i].LUNs = inOrder(w.group(all).LUNs, luns)
		}
	}
}

// shownLUNs is what everybody sees in all portal groups.
func shownLUNs(views []view) []config.LUN {
	each := make([][]config.LUN, 0, len(views))
	for _, v := range views {
		if v.shown {
			each = append(each, v.luns)
			continue
		}
		// Not let in yet: the change that made them was cut off.
		half := slices.Clone(v.unshown)
		for i := range half {
			half[i].Device += deviates
		}
		each = append(each, half)
	}
	return agreed(each)
}

// observedGroup is a group as the ACLs of all portal groups have it.
func observedGroup(words config.Group, views []view) config.Group {
	g := config.Group{Name: words.Name, Attributes: groupAttributes(words, views)}
	have := map[string]int{}
	var each [][]config.LUN
	everywhere := len(views) > 0
	for _, v := range views {
		everywhere = everywhere && v.shown
		for initiator, group := range v.acls {
			if group == words.Name {
				have[initiator]++
				each = append(each, v.maps[initiator])
			}
		}
	}
	name := func(initiator string) string {
		if have[initiator] < len(views) {
			return initiator + deviates
		}
		return initiator
	}
	for _, initiator := range words.Initiators {
		switch {
		case initiator == everybody && everywhere:
			g.Initiators = append(g.Initiators, everybody)
		case have[initiator] > 0:
			g.Initiators = append(g.Initiators, name(initiator))
			have[initiator] = -1
		}
	}
	for _, initiator := range slices.Sorted(maps.Keys(have)) {
		if have[initiator] > 0 {
			g.Initiators = append(g.Initiators, name(initiator))
		}
	}
	switch {
	case len(each) > 0:
		g.LUNs = agreed(each)
	case len(words.Initiators) == 0:
		g.LUNs = slices.Clone(words.LUNs)
	}
	return g
}

// agreed is what several maps have in common; of what they do not have in
// common the device's name says so.
func agreed(each [][]config.LUN) []config.LUN {
	times := map[config.LUN]int{}
	numbers := map[int]config.LUN{}
	for _, luns := range each {
		for _, l := range luns {
			times[l]++
			if _, ok := numbers[l.LUN]; !ok {
				numbers[l.LUN] = l
			}
		}
	}
	var out []config.LUN
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		l := numbers[n]
		if times[l] < len(each) && !strings.HasSuffix(l.Device, deviates) {
			l.Device += deviates
		}
		out = append(out, l)
	}
	return out
}

// inOrder sorts LUNs as the words have them; others come behind.
func inOrder(words, luns []config.LUN) []config.LUN {
	place := map[int]int{}
	for i, l := range words {
		place[l.LUN] = i - len(words)
	}
	slices.SortStableFunc(luns, func(a, b config.LUN) int {
		if place[a.LUN] != place[b.LUN] {
			return place[a.LUN] - place[b.LUN]
		}
		return a.LUN - b.LUN
	})
	return luns
}
