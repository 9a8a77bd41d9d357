// Package tui sits at the appliance's text console as somebody does who logs in
// over SSH from an old terminal, and goes through its wizards.
package tui
