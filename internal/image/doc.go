// Package image builds the appliance's image: the root that runs from memory,
// the initramfs that brings it there, and the signed slot they make up. What
// goes in is said in one file, image.yaml; how it becomes bytes is Build, read
// from top to bottom.
//
// The same file, the same packages and the same SOURCE_DATE_EPOCH give the
// same bytes on every machine: the tools that write file systems come from the
// same Debian release as the root (Tools), never from the building machine.
package image
