// Package archtest holds the tests of the house's plan: which package may
// import which, and that each says what it is for. It has no code of its own.
package archtest
