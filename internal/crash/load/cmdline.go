package load

import (
	"slices"
	"strings"
)

// added is what a crash kernel is told beside what the running one was:
// one processor, since the others may hold locks for ever; interrupts that
// nobody asked for are somebody's; devices are reset before they are used;
// nothing that takes memory which can be left out
// (Documentation/admin-guide/kdump/kdump.rst, "Load the Dump-capture Kernel").
func added() []string {
	return []string{
		"irqpoll", "nr_cpus=1", "maxcpus=1", "reset_devices", "cgroup_disable=memory", "numa=off", "mce=off", "hest_disable",
		"acpi_no_memhotplug", "transparent_hugepage=never",
		// The initramfs is unpacked into a tmpfs else, which takes half of the
		// memory and no more: less than it needs of 128 MiB
		// (Documentation/filesystems/ramfs-rootfs-initramfs.rst).
		"rootfstype=ramfs",
		"panic=10", "esos_crash",
	}
}

// dropped are words for the running kernel only: of its memory, of its
// debugging, which takes more than there is, and of the system that is booted.
// One that ends in a dot or = is a beginning.
func dropped() []string {
	return []string{
		"BOOT_IMAGE=", "crashkernel=", "mem=", "hugepages=", "hugepagesz=", "default_hugepagesz=", "hugetlb_cma=", "cma=",
		"isolcpus=", "nohz_full=", "rcu_nocbs=", "nr_cpus=", "maxcpus=", "possible_cpus=", "panic=", "transparent_hugepage=", "rootfstype=",
		"slub_debug", "slub_debug=", "slab_debug=", "kfence.", "page_poison=", "init_on_alloc=", "init_on_free=", "log_buf_len=",
		"ftrace_dump_on_oops", "ftrace=", "trace_event=", "nmi_watchdog=", "sysctl.", "earlyprintk=",
		"esos_trial", "esos_trial=", "esos_fell_back=", "esos_settings=", "esos_rescue", "esos_rescue=", "esos_persist", "esos_persist=",
		"single_user", "single_user=", "systemd.", "quiet", "splash", "initrd=",
	}
}

// maxCmdline is what the kernel takes (COMMAND_LINE_SIZE of x86), with room for
// what kexec adds: where the memory is that is to be saved.
const maxCmdline = 2048 - 128

// Cmdline makes the crash kernel's command line of the running one's.
func Cmdline(running string) string {
	var kept []string
	size := len(strings.Join(added(), " "))
	for _, word := range strings.Fields(running) {
		if word == "--" {
			break // the rest was for init
		}
		if drops(word) || size+1+len(word) > maxCmdline {
			continue
		}
		size += 1 + len(word)
		kept = append(kept, word)
	}
	return strings.Join(append(kept, added()...), " ")
}

func drops(word string) bool {
	if strings.HasSuffix(word, ".dyndbg=+p") {
		return true
	}
	return slices.ContainsFunc(dropped(), func(d string) bool {
		return word == d || (strings.HasSuffix(d, "=") || strings.HasSuffix(d, ".")) && strings.HasPrefix(word, d)
	})
}
