// Package layertest has a layer observed, planned and carried out in the tests
// of its package.
package layertest

import (
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Planned is what a layer plans for a document, while another one is in force.
func Planned(t *testing.T, l layer.Layer, declared, inForce *config.Document) *plan.Plan {
	t.Helper()
	seen := &layer.Observed{InForce: inForce}
	if err := l.Observe(t.Context(), declared, seen); err != nil {
		t.Fatal(err)
	}
	var b plan.Builder
	l.Plan(declared, seen, &b)
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}
