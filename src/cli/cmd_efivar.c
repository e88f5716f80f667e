/* SPDX-License-Identifier: BSD-3-Clause */
/* avp efivar: the UEFI variables of a VM that is off. */
#include <cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/firmware.h"
#include "host/efistore.h"
#include "system/plan.h"

#define PREVIEW 32u /* bytes of a value in a list */

struct efivar_args {
	char *file, *text, *utf16, *hex, *from, *attributes;
	bool json, raw;
};

#define ARG(f) offsetof(struct efivar_args, f)

static const struct opt efivar_opts[] = {
	{ .name = "file",
		.type = OPT_STR,
		.offset = ARG(file),
		.help = "the file with the variables, in place of SYSTEM.yaml and VM" },
	{ .name = "json",
		.type = OPT_BOOL,
		.offset = ARG(json),
		.help = "list, get: as JSON, values in hexadecimal" },
	{ .name = "raw",
		.type = OPT_BOOL,
		.offset = ARG(raw),
		.help = "get: nothing but the value's bytes" },
	{ .name = "text", .type = OPT_STR, .offset = ARG(text), .help = "set: value in UTF-8" },
	{ .name = "utf16",
		.type = OPT_STR,
		.offset = ARG(utf16),
		.help = "set: value in UTF-16 with a final zero, as UEFI's own strings are" },
	{ .name = "hex",
		.type = OPT_STR,
		.offset = ARG(hex),
		.help = "set: value in hexadecimal, as in 0100" },
	{ .name = "from",
		.type = OPT_STR,
		.offset = ARG(from),
		.help = "set: value from a file, - for standard input" },
	{ .name = "attributes",
		.type = OPT_STR,
		.offset = ARG(attributes),
		.help = "set: nv,bs or nv,bs,rt; those that it has, or nv,bs,rt for a new one" },
	OPT_END,
};

static const struct cli_spec efivar_spec = {
	.usage = "avp efivar SYSTEM.yaml VM list|get|set|delete [NAME[-GUID]] [OPTIONS]\n"
		 "       avp efivar --file VARS list|get|set|delete [NAME[-GUID]] [OPTIONS]",
	.about = "Reads and writes the UEFI variables that a VM's firmware keeps, while the VM is "
		 "off.\n"
		 "A name without a GUID means the variable of that name; a new one gets UEFI's "
		 "GUID if\n"
		 "UEFI defines the name, else avp's (docs/boot.md).\n"
		 "Exit status: 0 done, 1 there is no such variable, or it failed, 2 wrong usage.\n",
	.opts = efivar_opts,
	.min_words = 1,
	.max_words = 4,
};

/* One run of the command. */
struct efivar_cmd {
	struct efivar_args args;
	char *name; /* without its GUID, owned; NULL: none was given */
	uint16_t *wide;
	bool has_guid;
	struct efi_guid guid;
	struct efistore store;
};

/* A value that a set gives, owned. */
struct value {
	uint8_t *data;
	size_t size;
};

static void format_attributes(uint32_t attributes, char text[64])
{
	static const char *const words[] = { "nv", "bs", "rt", "hw-error", "auth", "time-auth",
		"append", "enhanced-auth" };
	size_t n = 0;

	text[0] = 0;
	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		if (attributes >> i & 1)
			n += (size_t)snprintf(text + n, 64 - n, "%s%s", n ? "," : "", words[i]);
}

/* What UEFI asks of a variable that is kept: bs, and rt only together with it (UEFI 2.10, 8.2). */
static int parse_attributes(const char *text, uint32_t *attributes, struct err *e)
{
	char full[64], part[64];

	format_attributes(EFIVAR_NV | EFIVAR_BS | EFIVAR_RT, full);
	format_attributes(EFIVAR_NV | EFIVAR_BS, part);
	*attributes = EFIVAR_NV | EFIVAR_BS;
	if (!strcmp(text, full))
		*attributes |= EFIVAR_RT;
	else if (strcmp(text, part) != 0)
		return err_set(e, -EINVAL, "--attributes '%.64s': %s or %s", text, part, full);
	return 0;
}

/* True if the bytes are text that can be shown. */
static bool is_text(const uint8_t *p, size_t n)
{
	bool printable = n > 0;

	for (size_t i = 0; i < n; i++)
		printable = printable && (isprint(p[i]) || (i && i + 1 == n && !p[i]));
	return printable;
}

/* True for UTF-16 of which all but a final zero is printable ASCII. */
static bool is_wide_text(const uint8_t *p, size_t n)
{
	bool printable = n >= 4 && n % 2 == 0;

	for (size_t i = 0; printable && i < n; i += 2)
		printable = !p[i + 1] && (isprint(p[i]) || (i + 2 == n && !p[i]));
	return printable;
}

/* The value as one line, at most `max` bytes of it. */
static void print_value(const struct efivar *v, size_t max)
{
	size_t n = min_u64(v->size, max);
	bool wide = is_wide_text(v->data, v->size);

	if (wide || is_text(v->data, v->size)) {
		printf(wide ? "u\"" : "\"");
		for (size_t i = 0; i < n; i += wide ? 2 : 1)
			if (v->data[i])
				putchar(v->data[i]);
		putchar('"');
	} else {
		for (size_t i = 0; i < n; i++)
			printf("%02x", v->data[i]);
	}
	printf("%s\n", n < v->size ? "..." : "");
}

static cJSON *to_json(const struct efivar *v)
{
	autofree char *name = efi_to_utf8(v->name, efi_strlen(v->name));
	autofree char *hex = calloc(2 * (size_t)v->size + 1, 1);
	char guid[EFI_GUID_TEXT], attributes[64];
	cJSON *o = name && hex ? cJSON_CreateObject() : NULL;

	efi_guid_format(&v->guid, guid);
	format_attributes(v->attributes, attributes);
	for (size_t i = 0; o && i < v->size; i++)
		sprintf(hex + 2 * i, "%02x", v->data[i]);
	cJSON_AddStringToObject(o, "name", name);
	cJSON_AddStringToObject(o, "guid", guid);
	cJSON_AddStringToObject(o, "attributes", attributes);
	cJSON_AddNumberToObject(o, "size", v->size);
	cJSON_AddStringToObject(o, "value", hex);
	return o;
}

static int print_json(cJSON *json, struct err *e)
{
	autofree char *text = json ? cJSON_PrintUnformatted(json) : NULL;

	cJSON_Delete(json);
	if (!text)
		return err_set(e, -ENOMEM, "no memory");
	puts(text);
	return 0;
}

static int do_list(struct efivar_cmd *c, struct err *e)
{
	const struct efivars *vars = &c->store.vars;

	if (c->args.json) {
		cJSON *all = cJSON_CreateArray();

		for (unsigned i = 0; all && i < vars->n; i++)
			cJSON_AddItemToArray(all, to_json(&vars->v[i]));
		return print_json(all, e);
	}
	for (unsigned i = 0; i < vars->n; i++) {
		const struct efivar *v = &vars->v[i];
		autofree char *name = efi_to_utf8(v->name, efi_strlen(v->name));
		char guid[EFI_GUID_TEXT], attributes[64];

		efi_guid_format(&v->guid, guid);
		format_attributes(v->attributes, attributes);
		printf("%-24s %s  %-9s %5" PRIu32 "  ", name ? name : "?", guid, attributes,
			v->size);
		print_value(v, PREVIEW);
	}
	return 0;
}

/* The variable that the user means; NULL with e->code 0: there is none. */
static struct efivar *find(const struct efivar_cmd *c, struct err *e)
{
	struct efivar *found = NULL;

	if (c->has_guid)
		return efivars_find(&c->store.vars, c->wide, &c->guid);
	for (unsigned i = 0; i < c->store.vars.n; i++) {
		struct efivar *v = &c->store.vars.v[i];

		if (efivars_find(&c->store.vars, c->wide, &v->guid) != v)
			continue;
		if (found) {
			err_set(e, -EINVAL,
				"there are several variables '%s'; say %s-GUID (avp efivar ... "
				"list)",
				c->name, c->name);
			return NULL;
		}
		found = v;
	}
	return found;
}

static int not_found(const struct efivar_cmd *c, struct err *e)
{
	return e->code ? e->code : err_set(e, -ENOENT, "there is no variable '%s'", c->name);
}

static int do_get(struct efivar_cmd *c, struct err *e)
{
	const struct efivar *v = find(c, e);

	if (!v)
		return not_found(c, e);
	if (c->args.json)
		return print_json(to_json(v), e);
	if (!c->args.raw)
		print_value(v, v->size);
	else if (v->size && fwrite(v->data, v->size, 1, stdout) != 1)
		return err_sys(e, -errno, "cannot write the value");
	return 0;
}

/* Values of authenticated variables are signed: a change from outside would only break them. */
static int check_plain(const struct efivar *v, const char *name, struct err *e)
{
	if (!v || !(v->attributes & EFIVAR_AUTH_MASK))
		return 0;
	return err_set(e, -EPERM,
		"'%s' is an authenticated variable: only the firmware can change it, with a signed "
		"update",
		name);
}

static int parse_hex(const char *text, struct value *out, struct err *e)
{
	size_t n = strlen(text);

	out->data = malloc(n / 2 + 1);
	if (!out->data)
		return err_set(e, -ENOMEM, "no memory");
	for (size_t i = 0; i < n; i += 2) {
		unsigned v;

		if (!isxdigit((unsigned char)text[i]) || !isxdigit((unsigned char)text[i + 1]))
			return err_set(e, -EINVAL,
				"--hex '%.64s': pairs of hexadecimal digits, as in 00ff", text);
		sscanf(text + i, "%2x", &v);
		out->data[out->size++] = (uint8_t)v;
	}
	return 0;
}

static int parse_utf16(const char *text, struct value *out, struct err *e)
{
	autofree uint16_t *wide = efi_from_utf8(text);

	if (!wide)
		return err_set(e, -EINVAL, "--utf16: the text is not UTF-8");
	out->size = 2 * (efi_strlen(wide) + 1);
	out->data = malloc(out->size);
	if (!out->data)
		return err_set(e, -ENOMEM, "no memory");
	for (size_t i = 0; i < out->size; i++)
		out->data[i] = (uint8_t)(wide[i / 2] >> (i % 2 * 8));
	return 0;
}

static int read_file(const char *path, struct value *out, struct err *e)
{
	bool standard = !strcmp(path, "-");
	autoclose int own = standard ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	int fd = standard ? STDIN_FILENO : own;
	ssize_t n = 1;

	if (fd < 0)
		return err_sys(e, -errno, "cannot open %s", path);
	out->data = malloc(EFIVAR_DATA_MAX + 1);
	if (!out->data)
		return err_set(e, -ENOMEM, "no memory");
	while (n > 0 && out->size <= EFIVAR_DATA_MAX) {
		n = read(fd, out->data + out->size, EFIVAR_DATA_MAX + 1 - out->size);
		out->size += n > 0 ? (size_t)n : 0;
	}
	return n < 0 ? err_sys(e, -errno, "cannot read %s", path) : 0;
}

static int read_value(const struct efivar_args *a, struct value *out, struct err *e)
{
	if (!!a->text + !!a->utf16 + !!a->hex + !!a->from != 1)
		return err_set(e, -EINVAL, "set takes one of --text, --utf16, --hex and --from");
	if (a->hex)
		return parse_hex(a->hex, out, e);
	if (a->utf16)
		return parse_utf16(a->utf16, out, e);
	if (a->from)
		return read_file(a->from, out, e);
	out->size = strlen(a->text);
	out->data = (uint8_t *)strdup(a->text);
	return out->data ? 0 : err_set(e, -ENOMEM, "no memory");
}

static int store_value(struct efivar_cmd *c, const struct value *value, struct err *e)
{
	struct efivar *v = find(c, e);
	const struct efi_guid guid = v		   ? v->guid
				     : c->has_guid ? c->guid
						   : *efi_guid_default(c->name);
	uint32_t attributes = v ? v->attributes : EFIVAR_ATTRIBUTES_DEF;
	int rc = e->code ? e->code : check_plain(v, c->name, e);

	if (!rc && c->args.attributes)
		rc = parse_attributes(c->args.attributes, &attributes, e);
	if (!rc)
		rc = efivars_set(
			&c->store.vars, c->wide, &guid, attributes, value->data, value->size, e);
	return rc ? rc : efistore_save(&c->store, e);
}

static int do_set(struct efivar_cmd *c, struct err *e)
{
	struct value value = { 0 };
	int rc = read_value(&c->args, &value, e);

	if (!rc && !value.size)
		rc = err_set(e, -EINVAL, "an empty value would delete the variable: use delete");
	if (!rc)
		rc = store_value(c, &value, e);
	free(value.data);
	return rc;
}

static int do_delete(struct efivar_cmd *c, struct err *e)
{
	struct efivar *v = find(c, e);
	int rc = v ? check_plain(v, c->name, e) : not_found(c, e);

	if (rc)
		return rc;
	efivars_delete(&c->store.vars, v);
	return efistore_save(&c->store, e);
}

static const struct action {
	const char *name;
	bool has_name, writes;
	int (*run)(struct efivar_cmd *c, struct err *e);
} actions[] = {
	{ "list", false, false, do_list },
	{ "get", true, false, do_get },
	{ "set", true, true, do_set },
	{ "delete", true, true, do_delete },
};

static const struct action *find_action(const char *name)
{
	for (unsigned i = 0; name && i < ARRAY_LEN(actions); i++)
		if (!strcmp(actions[i].name, name))
			return &actions[i];
	return NULL;
}

/* Splits NAME-GUID; a dash alone may be part of a name. */
static int parse_name(struct efivar_cmd *c, const char *word, struct err *e)
{
	size_t len = strlen(word), tail = EFI_GUID_TEXT; /* with the dash before it */

	c->name = strdup(word);
	if (!c->name)
		return err_set(e, -ENOMEM, "no memory");
	if (len > tail && word[len - tail] == '-' &&
		!efi_guid_parse(word + len - tail + 1, &c->guid)) {
		c->has_guid = true;
		c->name[len - tail] = 0;
	}
	c->wide = efi_from_utf8(c->name);
	if (!c->wide || !*c->wide)
		return err_set(e, -EINVAL, "'%.64s' cannot be a name", word);
	return 0;
}

/* Where the variables of a VM of a system file are; *kind is how its firmware keeps them. */
static int find_file(
	const char *system, const char *name, char **path, enum firmware_vars *kind, struct err *e)
{
	struct conf_errors errors = { .n = 0 };
	struct conf *conf = NULL;
	int rc = -ENOENT;

	if (conf_read(&conf, system, &errors)) {
		conf_errors_print(&errors, stderr);
		conf_errors_free(&errors);
		return err_set(e, -EINVAL, "%s is not correct", system);
	}
	for (unsigned i = 0; i < conf->nvms; i++) {
		const struct conf_vm *vm = &conf->vms[i];

		if (strcmp(vm->name, name) != 0)
			continue;
		rc = -EINVAL;
		if (vm->machine.firmware) {
			*kind = firmware_vars(vm->machine.firmware);
			*path = plan_vars_path(conf, vm);
			rc = *path ? 0 : -ENOMEM;
		}
	}
	if (rc == -ENOENT)
		err_set(e, rc, "%s has no VM '%.64s'", system, name);
	else if (rc)
		err_set(e, rc, "VM '%.64s' of %s has no firmware, so no UEFI variables", name,
			system);
	conf_free(conf);
	return rc;
}

static int run(struct efivar_cmd *c, const struct action *action, char *const *words, struct err *e)
{
	enum firmware_vars kind = FIRMWARE_VARS_UNKNOWN;
	autofree char *path = c->args.file ? strdup(c->args.file) : NULL;
	int rc = path ? 0 : find_file(words[0], words[1], &path, &kind, e);

	if (!rc && action->has_name)
		rc = parse_name(c, words[c->args.file ? 1 : 3], e);
	if (!rc)
		rc = firmware_make_vars(path, kind, e);
	if (!rc)
		rc = efistore_open(&c->store, path, e);
	return rc ? rc : action->run(c, e);
}

int cmd_efivar(int argc, char **argv)
{
	struct efivar_cmd c = { .store = { .fd = -1 } };
	const struct action *action;
	struct err e = { 0 };
	char *words[4];
	unsigned first, n = 0;
	int rc = cli_parse(&efivar_spec, argc, argv, &c.args, words);

	if (rc != CLI_GO)
		return rc;
	first = c.args.file ? 0 : 2;
	while (n < ARRAY_LEN(words) && words[n])
		n++;
	action = find_action(n > first ? words[first] : NULL);
	if (!action || n != first + (action->has_name ? 2 : 1)) {
		fprintf(stderr, "usage: %s\n", efivar_spec.usage);
		rc = EXIT_USAGE;
	} else {
		rc = run(&c, action, words, &e);
		if (rc)
			fprintf(stderr, "avp efivar: %s\n", e.msg);
		rc = !rc ? EXIT_OK : rc == -EINVAL ? EXIT_USAGE : EXIT_FAULT;
	}
	efistore_close(&c.store);
	free(c.name);
	free(c.wide);
	opt_free(efivar_opts, &c.args);
	return rc;
}
