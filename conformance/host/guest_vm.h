/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtual machine that runs the test guest, under some hypervisor: our own by `avp run`, QEMU
 * with its own devices, or whatever a command line starts. One boot after the other.
 */
#pragma once

#include "base/opt.h"
#include "conformance/host/child.h"
#include "conformance/host/guest_lines.h"
#include "conformance/host/guest_place.h"

#define VM_ECHOES_MAX 2u

/* What was asked for. Nothing in it is owned. */
struct vm_opts {
	const char *platform;  /* "avp", "microvm", "q35", "virt"; NULL: `command` */
	const char *transport; /* "pci" or "mmio"; ignored with `command` */
	const char *format;    /* of the image, with `command` */
	const char *image;     /* a file instead of the image that is built in; or NULL */
	const char *qemu;      /* program instead of the usual one; or NULL */
	char *const *command;  /* {image} and {cmdline} in it are replaced; ends with NULL */
	/* avp only: a second VM, with a serial port of its own. The guest under test waits for
	 * vm_release(). */
	bool neighbour;
	bool isolate;	 /* avp only: devices that are on no medium are processes of their own */
	bool verbose;	 /* what the guests print, on standard error */
	bool split_only; /* QEMU: offer no packed rings */
	int signals;	 /* of child_signals(): ends the run */
};

struct vm_args {
	char **v; /* ends with NULL */
	unsigned n;
	bool failed; /* no memory */
};

struct vm {
	const struct vm_opts *opts;
	struct place place;
	char *image;	/* path */
	char *messages; /* path: what the hypervisor itself says, if that is not on the serial port
			 */
	struct guest_serial serial, neighbour;
	struct vm_args args;
	unsigned mmio; /* places taken on virtio-mmio, QEMU only */
	struct child child;
	/* Unix sockets on which to send back what comes, and who does it. */
	char *echo[VM_ECHOES_MAX];
	pid_t echoes[VM_ECHOES_MAX];
};

/* Makes the folder and what is in it. Returns 0 or -errno; vm_close() is to be called anyway. */
int vm_open(struct vm *vm, const struct vm_opts *opts, struct err *e);
void vm_close(struct vm *vm);

/* Starts the guest; `words` are for its command line, in addition to what is said of the devices.
 */
int vm_boot(struct vm *vm, const char *words, struct err *e);
/* Opens the serial port of the guest under test, for which its monitor waits. */
int vm_release(struct vm *vm, struct err *e);
/* False if the guest cannot be told words: a command without {cmdline}. */
bool vm_has_words(const struct vm *vm);
/* True if a word of the command contains `mark`. */
bool vm_command_has(char *const *command, const char *mark);
/* Ends everything at once, by SIGKILL: what a power cut is for the guest. */
void vm_kill(struct vm *vm);
/* Gives it a moment to end by itself, then ends it. */
void vm_stop(struct vm *vm);

/* True if it is our own platform. */
bool vm_is_avp(const struct vm *vm);

/* Adds to a command line. */
void vm_arg(struct vm_args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void vm_args_free(struct vm_args *a);

/* What each hypervisor is started with; they fill vm->args, and vm->echo where there is a console.
 */
int vm_args_avp(struct vm *vm, const char *words, struct err *e);
int vm_args_qemu(struct vm *vm, const char *words, struct err *e);
int vm_args_command(struct vm *vm, const char *words, struct err *e);
/* The folder where avp keeps the control socket of the system, for XDG_RUNTIME_DIR. */
#define VM_RUNTIME "run"
#define VM_SYSTEM  "conform"
/* Kills every process of the running system, the supervisor last. */
void vm_kill_avp(struct vm *vm);
/* The last line that avp itself has written. */
void vm_last_message(const struct vm *vm, char *text, size_t size);
/* The avp beside this program, or where it is installed; owned by the caller; NULL: no memory. */
char *vm_find_avp(void);
