package upgrade

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/internal/slot"
)

// Tries is how often a slot on trial is booted before GRUB returns to the
// default: a power cut during the first try is not the slot's fault.
const Tries = 2

// Boots is what GRUB will do at the next boot.
type Boots struct {
	Default slot.Name // if nothing is on trial, or the trial fails
	Trial   slot.Name // booted first, Left times at most; "" if none is
	Left    int
	// OwnSettings has the slot on trial come back with the settings that it
	// last ran with, instead of the newest.
	OwnSettings bool
}

// envFile is GRUB's environment on ESOS_BOOT.
func envFile(boot string) string { return filepath.Join(boot, "grub", "grubenv") }

// ReadBoots reads GRUB's environment from a mounted ESOS_BOOT.
func ReadBoots(boot string) (Boots, error) {
	env, err := readEnv(boot)
	if err != nil {
		return Boots{}, fmt.Errorf("read what GRUB boots: %w", err)
	}
	return bootsOf(env), nil
}

func bootsOf(env grub.Env) Boots {
	b := Boots{Default: slot.Primary}
	if name, err := slot.ParseName(env[grub.EnvDefault]); err == nil {
		b.Default = name
	} else if name, err := slot.ParseName(trimDebug(env[grub.EnvDefault])); err == nil {
		b.Default = name
	}
	name, err := slot.ParseName(env[grub.EnvNext])
	if err != nil {
		return b
	}
	left, err := strconv.Atoi(env[grub.EnvTries])
	if err != nil || left < 0 || left > Tries {
		left = 0 // GRUB takes it so
	}
	b.Trial, b.Left, b.OwnSettings = name, left, env[grub.EnvSettings] == grub.SettingsOfSlot
	return b
}

func trimDebug(entry string) string {
	for _, s := range grub.Slots() {
		if entry == grub.EntryID(s, true) {
			return s
		}
	}
	return entry
}

func readEnv(boot string) (grub.Env, error) {
	block, err := os.ReadFile(envFile(boot))
	if err != nil {
		return nil, err
	}
	return grub.ParseEnv(block)
}

// sector is what a drive writes whole or not at all.
const sector = 512

// WriteBoots tells GRUB what to boot. All that it is told is in the first
// sector of the environment, and the second one stays as it is: a power cut
// leaves the old words or the new ones.
func WriteBoots(boot string, b Boots) error {
	if err := writeBoots(boot, b); err != nil {
		return fmt.Errorf("tell GRUB what to boot: %w", err)
	}
	return nil
}

func writeBoots(boot string, b Boots) error {
	env, err := readEnv(boot)
	if err != nil {
		env = grub.Env{} // a damaged one is made anew
	}
	// Debug entries stay what an administrator made the default.
	if trimDebug(env[grub.EnvDefault]) != string(b.Default) || bootsOf(env).Default != b.Default {
		env[grub.EnvDefault] = grub.EntryID(string(b.Default), false)
	}
	for _, name := range []string{grub.EnvNext, grub.EnvTries, grub.EnvSettings} {
		delete(env, name)
	}
	if b.Trial != "" {
		env[grub.EnvNext], env[grub.EnvTries] = string(b.Trial), strconv.Itoa(b.Left)
		if b.OwnSettings {
			env[grub.EnvSettings] = grub.SettingsOfSlot
		}
	}
	block, err := env.Bytes()
	if err != nil {
		return err
	}
	if env.Length() > sector {
		return fmt.Errorf("GRUB's environment has %d bytes, and %d can be written at once: remove what was added to %s", env.Length(), sector, envFile(boot))
	}
	f, err := os.OpenFile(envFile(boot), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w; write the medium anew", err)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt(block, 0)
	return errors.Join(err, f.Sync(), f.Close())
}
