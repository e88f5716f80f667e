/* SPDX-License-Identifier: BSD-3-Clause */
/* The system file (docs/system-file.md): read, checked, and resolved against its own folder. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/opt.h"
#include "engine/vm_conf.h"
#include "system/conf_isolation.h"
#include "system/conf_policy.h"
#include "system/conf_thermal.h"
#include "system/jail.h"
#include "system/media.h"
#include "virtio/device.h"

#define CONF_VMS_MAX	64u
#define CONF_MEDIA_MAX	32u
#define CONF_ERRORS_MAX 20u
#define CONF_NAME_MAX	24u /* bytes of a name: it becomes part of socket paths */

/* A key that the file gives for a process, as text: it goes on the process's command line. */
struct conf_key {
	const struct opt *opt;
	char *value; /* paths are absolute */
	unsigned line, column;
};

struct conf_keys {
	struct conf_key *v;
	unsigned n;
};

/* An entry of a VM's `devices:`. */
struct conf_device {
	const struct vdev_class *cls;
	char *type;
	char *name;	       /* unique in its VM; "blk0" if the file does not say */
	char *socket;	       /* somebody else's vhost-user socket, or NULL */
	char *plug;	       /* the medium it is plugged into, or NULL */
	bool isolate;	       /* a process of its own */
	uint32_t poll;	       /* VDEV_POLL_OPT */
	struct conf_keys keys; /* rows of cls->opts */
	unsigned line, column;
};

struct conf_vm {
	char *name;
	struct vm_conf machine;
	struct conf_keys keys; /* rows of vm_opts */
	struct conf_policy policy;
	struct cgroup_limits cgroup;
	struct resctrl_limits resctrl;
	struct conf_keys given; /* what the file gives of the tables in conf_vm_sections */
	struct conf_device *devices;
	unsigned ndevices;
	unsigned line, column;
};

/* An entry of `switches:` or of another section of media. */
struct conf_medium {
	const struct medium_class *cls;
	char *name;
	struct conf_keys keys; /* rows of cls->opts */
	unsigned line, column;
};

struct conf {
	char *path;	   /* as given */
	char *dir;	   /* its folder, absolute: where processes run, and relative paths start */
	char *name;	   /* of the system: the file's name without suffix if it does not say */
	int jail;	   /* enum jail_mode */
	int isolation;	   /* enum vm_isolation, of VMs that do not say: conf_isolation() */
	uint32_t grace_ms; /* from the power button to force */
	char *event_log;   /* a file that keeps the events, or NULL */
	struct conf_thermal thermal;
	struct conf_keys given; /* what the file gives of the tables in conf_system_sections */
	struct conf_vm *vms;
	unsigned nvms;
	struct conf_medium *media; /* CONF_MEDIA_MAX of them, from the first kind to the last */
	unsigned nmedia;
};

struct conf_error {
	unsigned line, column;
	char *text; /* "FILE:LINE:COLUMN: ..." */
};

/* What is wrong with a file, in the order of the file. Zero-initialise. */
struct conf_errors {
	struct conf_error v[CONF_ERRORS_MAX];
	unsigned n;
	unsigned more; /* further ones, not kept */
};

/* Reads and checks a file. Returns 0, or -EINVAL (or -ENOMEM) with at least one error. */
int conf_read(struct conf **conf, const char *path, struct conf_errors *errors);
/* True for `type: foreign`: its class is none of the registry, its keys are the monitor's. */
bool conf_is_foreign(const struct conf_device *device);
/* Accepts NULL. */
void conf_free(struct conf *conf);
void conf_errors_print(const struct conf_errors *errors, FILE *f);
void conf_errors_free(struct conf_errors *errors);

/* The value of a key as the file gives it, or its default; NULL if neither. */
const char *conf_value(const struct conf_keys *keys, const struct opt *table, const char *name);
const struct conf_key *conf_key_find(const struct conf_keys *keys, const char *name);
/* The medium that a device is plugged into, or NULL. */
const struct conf_medium *conf_medium_of(const struct conf *conf, const struct conf_device *d);

/* enum vm_isolation that holds for a VM. */
int conf_isolation(const struct conf *conf, const struct conf_vm *vm);

struct conf_reader;
struct yaml_node;

/*
 * A section of a VM or of the system: a map in the file, read into the structure at `offset` of
 * struct conf_vm or struct conf. Defaults of the table are set even if the section is absent.
 */
struct conf_section {
	const char *name;	 /* NULL: the rows stand in the VM or in the system itself */
	const struct opt *table; /* its keys; NULL: the monitor's (config_vm.c), or see `read` */
	size_t offset;
	const char *word; /* the key that a bare word sets (`cpus: 2`), or NULL */
	/* Reads a section that is no map of words, instead of the table; or NULL. Called if the
	 * section is there, as is `check`, which says what the table cannot say. */
	void (*read)(struct conf_reader *r, const struct yaml_node *node, void *section);
	void (*check)(struct conf_reader *r, const struct yaml_node *node, void *section);
	void (*free)(void *section); /* what `read` allocated, or NULL */
};

/* Both end with a row that has neither name nor table. */
extern const struct conf_section conf_vm_sections[];
extern const struct conf_section conf_system_sections[];
