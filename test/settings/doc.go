// Package settings tests on a booted appliance that its settings are kept,
// whatever happens to the stick.
package settings
