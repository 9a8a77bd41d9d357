// Package machine holds the appliance to what a document declares of the
// machine itself: its clock, the people who log in to it, its services.
package machine
