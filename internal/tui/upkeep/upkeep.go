// Package upkeep is the lower half of the System menu: how the array is and
// what happened, its history, its saved settings, its versions, its medium.
package upkeep

import "github.com/esos-project/esos/internal/tui/frame"

// Actions are the entries, in the order of the menu.
func Actions() []frame.Action {
	return []frame.Action{
		{Title: "Engine Information", IDs: []string{"S9"}, Command: "esos status", Do: engineInformation,
			Does: "Who serves, since when, what it can, and what it did so far (once SCST Information)."},
		{Title: "CRM Status", IDs: []string{"S10"}, Command: "esos service list", Do: crmStatus,
			Does: "The cluster's services: corosync, pacemaker."},
		{Title: "DRBD Status", IDs: []string{"S11"}, Command: "esos disk list", Do: drbdStatus,
			Does: "Block devices that are mirrored over the network."},
		{Title: "Statistics", Command: "esos statistics", Do: statistics,
			Does: "What each LUN does now: I/O a second, MB/s, latency."},
		{Title: "Alerts", Command: "esos alert list", Do: alerts,
			Does: "What needs somebody, and what to do about it."},
		{Title: "Events", Command: "esos events -f", Do: events,
			Does: "What happens: sessions, refused logins, changes, failures."},
		{Title: "Operations", Command: "esos operation list", Do: operations,
			Does: "Changes that were begun, and how far they are."},
		{Title: "Configuration History", Command: "esos config history", Do: history,
			Does: "The documents that were in force: look, compare, go back."},
		{Title: "Changes By Hand", Command: "esos drift", Do: drift,
			Does: "What somebody changed past ESOS: undo it or keep it."},
		{Title: "Edit the Document", Command: "esos config edit", Do: editDocument,
			Does: "All of what the array should be, as text, checked while it is typed."},
		{Title: "Import Settings", Command: "esos import FILE", Do: importFile,
			Does: "Take over SCST's scst.conf or LIO's saveconfig.json."},
		{Title: "Export Settings", Command: "esos export --format FORMAT FILE", Do: exportFile,
			Does: "Write devices and targets as scst.conf or saveconfig.json."},
		{Title: "Saved Settings", Command: "esos config generations", Do: generations,
			Does: "Generations of settings on the medium: bring one back, save now."},
		{Title: "Back Up Settings", Command: "esos config backup FILE", Do: backup,
			Does: "Write all settings, secrets too, to one file."},
		{Title: "Restore Settings From a File", Command: "esos config restore FILE", Do: restoreFile,
			Does: "Have the next boot come up with the settings of a backup."},
		{Title: "Factory Reset", Command: "esos config factory-reset", Do: factoryReset,
			Does: "Have the next boot come up as the first one did."},
		{Title: "Upgrade", Command: "esos upgrade FILE|URL", Do: upgrade,
			Does: "Put another version on the medium; the next boot tries it."},
		{Title: "Roll Back", Command: "esos rollback", Do: rollBack,
			Does: "Boot the other version on the medium from now on."},
		{Title: "Slots", Command: "esos slot list", Do: slots,
			Does: "The two copies of ESOS on the medium, and how a trial goes."},
		{Title: "Boot Medium", Command: "esos medium status", Do: bootMedium,
			Does: "The stick or disk that this array was booted from."},
		{Title: "Install on Another Disk", Command: "esos install", Do: install,
			Does: "From the ISO that this system was booted from, onto a disk or stick."},
		{Title: "Logs", Command: "esos logs list", Do: logArchives,
			Does: "What the machine logged: archives on the medium, read and searched."},
		{Title: "Crash Dumps", Command: "esos crash list", Do: crashDumps,
			Does: "What was saved of kernels that crashed."},
	}
}
