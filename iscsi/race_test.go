//go:build race

package iscsi

// underRace: sync.Pool throws things away at random.
const underRace = true
