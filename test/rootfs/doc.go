// Package rootfs checks the files that are laid over the packages' in the
// appliance's root: units, presets, masks. It has no code of its own.
package rootfs
