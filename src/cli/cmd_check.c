/* SPDX-License-Identifier: BSD-3-Clause */
/* avp check: what a system file means, without running it. */
#include <cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "system/isolation.h"
#include "system/plan.h"
#include "system/rundir.h"

struct check_args {
	bool json;
	bool host;
};

static const struct opt check_opts[] = {
	{ .name = "json",
		.type = OPT_BOOL,
		.offset = offsetof(struct check_args, json),
		.help = "the plan as one JSON object" },
	{ .name = "host",
		.type = OPT_BOOL,
		.offset = offsetof(struct check_args, host),
		.help = "also whether this host can isolate as the file says" },
	OPT_END,
};

static const struct cli_spec check_spec = {
	.usage = "avp check SYSTEM.yaml [--json] [--host]",
	.about = "Checks a system file and prints what it means: every key with its value, those "
		 "that\n"
		 "the file does not name in parentheses, and the processes it will become.\n"
		 "Exit status: 0 correct, 2 errors, which were printed; with --host also 2 if a VM "
		 "has\n"
		 "'isolation: required' and this host cannot give it.\n",
	.opts = check_opts,
	.min_words = 1,
	.max_words = 1,
};

static void print_keys(const struct conf_keys *keys, const struct opt *table, unsigned indent)
{
	for (const struct opt *o = table; o->name; o++) {
		bool found = false;

		for (unsigned i = 0; i < keys->n; i++) {
			if (keys->v[i].opt != o)
				continue;
			printf("%*s%-14s %s\n", (int)indent, "", o->name, keys->v[i].value);
			found = true;
		}
		if (!found && o->def)
			printf("%*s%-14s (%s)\n", (int)indent, "", o->name, o->def);
	}
}

/* True if the file gives one of the table's keys. */
static bool any_of(const struct conf_keys *given, const struct opt *table)
{
	for (unsigned i = 0; i < given->n; i++)
		for (const struct opt *o = table; o->name; o++)
			if (given->v[i].opt == o)
				return true;
	return false;
}

static void print_sections(const struct conf_section *sections, const struct conf_keys *given)
{
	for (const struct conf_section *o = sections; o->name || o->table; o++) {
		if (!o->table || (o->name && !any_of(given, o->table)))
			continue;
		if (o->name)
			printf("    %s\n", o->name);
		print_keys(given, o->table, o->name ? 6 : 4);
	}
}

static void print_device(const struct conf_device *d)
{
	printf("    device %s: %s, ", d->name, d->cls->name);
	if (d->socket)
		printf("served by somebody else at %s\n", d->socket);
	else if (d->plug)
		printf("a port of %s %s\n", medium_class_for(d->cls->name)->command, d->plug);
	else
		puts(d->isolate ? "a jailed process" : "a thread of the monitor");
	if (!d->socket || conf_is_foreign(d))
		print_keys(&d->keys, d->cls->opts, 6);
}

static void print_vm(const struct conf_vm *vm)
{
	printf("\nVM %s\n", vm->name);
	print_keys(&vm->keys, vm_opts, 4);
	print_sections(conf_vm_sections, &vm->given);
	for (unsigned i = 0; i < vm->ndevices; i++)
		print_device(&vm->devices[i]);
}

/* A word as a shell would need it. */
static void print_word(const char *word)
{
	bool plain = *word;

	for (const char *p = word; *p; p++)
		plain = plain && !strchr(" \t\"'\\$`*?[]{}()<>|&;#~!", *p);
	if (plain) {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word; word++)
		fputs(*word == '\'' ? "'\\''" : (char[]){ *word, 0 }, stdout);
	putchar('\'');
}

static void print_processes(const struct plan *plan)
{
	printf("\nProcesses\n");
	for (unsigned i = 0; i < plan->n; i++) {
		printf("    ");
		for (unsigned a = 0; a < plan->procs[i].argc; a++) {
			if (a)
				putchar(' ');
			print_word(plan->procs[i].argv[a]);
		}
		putchar('\n');
	}
}

static void print_plan(const struct conf *conf, const struct plan *plan, const char *run_dir)
{
	printf("%s is correct: system %s, %u VMs, %u media\n", conf->path, conf->name, conf->nvms,
		conf->nmedia);
	print_sections(conf_system_sections, &conf->given);
	printf("    %-14s %s\n", "run-time files", run_dir);
	for (unsigned i = 0; i < conf->nmedia; i++) {
		printf("\n%s %s\n", conf->media[i].cls->command, conf->media[i].name);
		print_keys(&conf->media[i].keys, conf->media[i].cls->opts, 4);
	}
	for (unsigned i = 0; i < conf->nvms; i++)
		print_vm(&conf->vms[i]);
	print_processes(plan);
}

static cJSON *json_keys(const struct conf_keys *keys, const struct opt *table)
{
	cJSON *o = cJSON_CreateObject();

	for (const struct opt *k = table; k->name; k++) {
		cJSON *list = NULL;

		for (unsigned i = 0; i < keys->n; i++) {
			if (keys->v[i].opt != k)
				continue;
			if (k->type != OPT_LIST) {
				cJSON_AddStringToObject(o, k->name, keys->v[i].value);
				continue;
			}
			if (!list)
				list = cJSON_AddArrayToObject(o, k->name);
			cJSON_AddItemToArray(list, cJSON_CreateString(keys->v[i].value));
		}
		if (!cJSON_GetObjectItemCaseSensitive(o, k->name) && k->def)
			cJSON_AddStringToObject(o, k->name, k->def);
	}
	return o;
}

/* Sections with their keys; keys that are in none are members of `o`. What it has is not added. */
static void add_sections(
	cJSON *o, const struct conf_section *sections, const struct conf_keys *given)
{
	for (const struct conf_section *s = sections; s->name || s->table; s++) {
		cJSON *keys = s->table ? json_keys(given, s->table) : NULL, *item;

		if (s->name && keys) {
			cJSON_AddItemToObject(o, s->name, keys);
			continue;
		}
		while ((item = cJSON_DetachItemFromArray(keys, 0))) {
			if (cJSON_HasObjectItem(o, item->string))
				cJSON_Delete(item);
			else
				cJSON_AddItemToObject(o, item->string, item);
		}
		cJSON_Delete(keys);
	}
}

static cJSON *json_vm(const struct conf_vm *vm)
{
	cJSON *o = cJSON_CreateObject(), *devices;

	cJSON_AddStringToObject(o, "name", vm->name);
	cJSON_AddItemToObject(o, "keys", json_keys(&vm->keys, vm_opts));
	add_sections(o, conf_vm_sections, &vm->given);
	devices = cJSON_AddArrayToObject(o, "devices");
	for (unsigned i = 0; i < vm->ndevices; i++) {
		const struct conf_device *d = &vm->devices[i];
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "name", d->name);
		cJSON_AddStringToObject(item, "type", d->cls->name);
		cJSON_AddBoolToObject(item, "isolate", d->isolate);
		if (d->socket)
			cJSON_AddStringToObject(item, "socket", d->socket);
		if (d->plug)
			cJSON_AddStringToObject(
				item, medium_class_for(d->cls->name)->plug, d->plug);
		if (!d->socket || conf_is_foreign(d))
			cJSON_AddItemToObject(item, "keys", json_keys(&d->keys, d->cls->opts));
		cJSON_AddItemToArray(devices, item);
	}
	return o;
}

static cJSON *json_plan(const struct conf *conf, const struct plan *plan, const char *run_dir)
{
	cJSON *o = cJSON_CreateObject(), *list;

	cJSON_AddStringToObject(o, "name", conf->name);
	cJSON_AddStringToObject(o, "jail", jail_mode_words[conf->jail]);
	cJSON_AddNumberToObject(o, "grace_ms", conf->grace_ms);
	cJSON_AddStringToObject(o, "run_dir", run_dir);
	add_sections(o, conf_system_sections, &conf->given);
	list = cJSON_AddArrayToObject(o, "vms");
	for (unsigned i = 0; i < conf->nvms; i++)
		cJSON_AddItemToArray(list, json_vm(&conf->vms[i]));
	list = cJSON_AddArrayToObject(o, "media");
	for (unsigned i = 0; i < conf->nmedia; i++) {
		cJSON *item = cJSON_CreateObject();

		const struct conf_medium *m = &conf->media[i];

		cJSON_AddStringToObject(item, "name", m->name);
		cJSON_AddStringToObject(item, "type", m->cls->command);
		cJSON_AddItemToObject(item, "keys", json_keys(&m->keys, m->cls->opts));
		cJSON_AddItemToArray(list, item);
	}
	list = cJSON_AddArrayToObject(o, "processes");
	for (unsigned i = 0; i < plan->n; i++)
		cJSON_AddItemToArray(
			list, cJSON_CreateStringArray((const char *const *)plan->procs[i].argv,
				      (int)plan->procs[i].argc));
	return o;
}

static bool is_fatal(const struct conf *conf, const struct shortfall *f)
{
	return conf_isolation(conf, f->vm) == VM_ISOLATION_REQUIRED;
}

static void print_host(const struct conf *conf, const struct shortfalls *list)
{
	printf("\nThis host\n");
	if (!list->n)
		printf("    can isolate as the file says\n");
	for (unsigned i = 0; i < list->n; i++) {
		const struct shortfall *f = &list->v[i];

		printf("    %s: %s: %s%s\n", f->vm->name, f->key, f->text,
			is_fatal(conf, f) ? " [required]" : "");
	}
}

static cJSON *json_host(const struct conf *conf, const struct shortfalls *list)
{
	cJSON *array = cJSON_CreateArray();

	for (unsigned i = 0; i < list->n; i++) {
		const struct shortfall *f = &list->v[i];
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "vm", f->vm->name);
		cJSON_AddStringToObject(o, "key", f->key);
		cJSON_AddStringToObject(o, "reason", f->text);
		cJSON_AddBoolToObject(o, "required", is_fatal(conf, f));
		cJSON_AddItemToArray(array, o);
	}
	return array;
}

static int check(const struct conf *conf, const struct check_args *args)
{
	autofree char *run_dir = rundir_path(conf->name);
	struct shortfalls lacks = { 0 };
	struct plan *plan = NULL;
	struct err e = { 0 };
	int status = EXIT_OK;

	if (!run_dir || plan_make(&plan, conf, run_dir, &e)) {
		fprintf(stderr, "%s: %s\n", conf->path, e.msg);
		return EXIT_USAGE;
	}
	if (args->host)
		isolation_check(&lacks, conf);
	if (args->json) {
		cJSON *o = json_plan(conf, plan, run_dir);
		char *text;

		if (args->host)
			cJSON_AddItemToObject(o, "host", json_host(conf, &lacks));
		text = cJSON_Print(o);
		puts(text ? text : "");
		cJSON_free(text);
		cJSON_Delete(o);
	} else {
		print_plan(conf, plan, run_dir);
		if (args->host)
			print_host(conf, &lacks);
	}
	if (lacks.fatal)
		status = EXIT_USAGE;
	shortfalls_free(&lacks);
	plan_free(plan);
	return status;
}

int cmd_check(int argc, char **argv)
{
	struct check_args args = { 0 };
	struct conf *conf = NULL;
	int r = cli_parse_system(&check_spec, argc, argv, &args, &conf);

	if (r != CLI_GO)
		return r;
	r = check(conf, &args);
	conf_free(conf);
	return r;
}
