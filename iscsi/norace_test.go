//go:build !race

package iscsi

const underRace = false
