// Package medium tests media as they are made, written and booted: file
// systems by their own checkers, and boots under SeaBIOS and OVMF.
package medium
