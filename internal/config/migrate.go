package config

import (
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// Version is the newest format of the document, the one that is written.
const Version = 1

// migration changes the nodes of a document of one version into those of the
// next. It works on nodes, since the types are those of the newest version.
type migration func(top *yaml.Node) error

// migrations returns, by the version that they start from, what brings older
// documents up. A change of the format adds one here with a test and raises
// Version.
func migrations() map[int]migration {
	return map[int]migration{}
}

// migrate brings a document up to the newest version and returns the one that
// it had. problem is a sentence about the version key, "" if all is well.
func migrate(top *yaml.Node) (from int, problem string) {
	return migrateWith(top, migrations(), Version)
}

func migrateWith(top *yaml.Node, steps map[int]migration, newest int) (from int, problem string) {
	if top.Kind != yaml.MappingNode {
		return newest, "" // the decoder says what is wrong with it
	}
	n := child(top, "version")
	if n == nil {
		return 0, fmt.Sprintf("missing; write \"version: %d\" at the top", newest)
	}
	from, err := strconv.Atoi(n.Value)
	if err != nil || from < 1 {
		return 0, fmt.Sprintf("must be a number from 1 to %d, not %s", newest, kind(n))
	}
	if from > newest {
		return from, fmt.Sprintf("%d is newer than this program knows (%d); use the esos that wrote the document, or a newer one", from, newest)
	}
	for v := from; v < newest; v++ {
		step, ok := steps[v]
		if !ok {
			return from, fmt.Sprintf("%d is not read any more; the oldest version read is %d", from, v+1)
		}
		if err := step(top); err != nil {
			return from, fmt.Sprintf("migrate from %d to %d: %v", v, v+1, err)
		}
		n.Value = strconv.Itoa(v + 1)
	}
	return from, ""
}
