/* SPDX-License-Identifier: BSD-3-Clause */
/* YAML to a tree, event by event (libyaml). */
#include "system/yaml_tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "base/util.h"

struct reader {
	yaml_parser_t parser;
	const char *path;
	struct err *e;
	unsigned nodes;
};

static int fail(struct reader *r, const yaml_mark_t *at, const char *what)
{
	return err_set(
		r->e, -EINVAL, "%s:%zu:%zu: %s", r->path, at->line + 1, at->column + 1, what);
}

static int next_event(struct reader *r, yaml_event_t *event)
{
	const yaml_parser_t *p = &r->parser;
	const yaml_mark_t *at = &p->problem_mark;

	if (yaml_parser_parse(&r->parser, event))
		return 0;
	if (p->error == YAML_MEMORY_ERROR)
		return err_set(r->e, -ENOMEM, "%s: out of memory", r->path);
	if (p->error == YAML_READER_ERROR)
		return err_set(r->e, -EINVAL, "%s: byte %zu is not UTF-8 text", r->path,
			p->problem_offset);
	return err_set(r->e, -EINVAL, "%s:%zu:%zu: not YAML: %s%s%s", r->path, at->line + 1,
		at->column + 1, p->problem ? p->problem : "error", p->context ? ", " : "",
		p->context ? p->context : "");
}

void yaml_free(struct yaml_node *node)
{
	if (!node)
		return;
	for (unsigned i = 0; i < node->n; i++)
		yaml_free(node->items[i]);
	free(node->items);
	free(node->text);
	free(node);
}

const char *yaml_kind_name(enum yaml_kind kind)
{
	static const char *const names[] = { "text", "a map", "a list" };

	return names[kind];
}

static int append(struct yaml_node *parent, struct yaml_node *child)
{
	struct yaml_node **items = parent->items;

	if (is_pow2(parent->n) || !parent->n) {
		items = reallocarray(
			items, parent->n ? 2 * parent->n : 1, sizeof(struct yaml_node *));
		if (!items)
			return -ENOMEM;
		parent->items = items;
	}
	items[parent->n++] = child;
	return 0;
}

static int read_node(
	struct reader *r, const yaml_event_t *event, unsigned depth, struct yaml_node **out);

/* The items up to the end of a list or map. */
static int read_items(struct reader *r, struct yaml_node *node, unsigned depth)
{
	for (;;) {
		struct yaml_node *child = NULL;
		yaml_event_t event;
		int ret = next_event(r, &event);

		if (ret)
			return ret;
		if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		ret = read_node(r, &event, depth + 1, &child);
		yaml_event_delete(&event);
		if (!ret && node->kind == YAML_MAP && node->n % 2 == 0 && child->kind != YAML_TEXT)
			ret = err_set(r->e, -EINVAL, "%s:%u:%u: a key must be a word", r->path,
				child->line, child->column);
		if (!ret && append(node, child))
			ret = err_set(r->e, -ENOMEM, "%s: out of memory", r->path);
		if (ret) {
			yaml_free(child);
			return ret;
		}
	}
}

static int check_event(struct reader *r, const yaml_event_t *event, unsigned depth)
{
	const yaml_char_t *anchor = NULL;

	if (event->type == YAML_ALIAS_EVENT)
		return fail(r, &event->start_mark, "aliases (*name) are not supported");
	if (event->type == YAML_SCALAR_EVENT)
		anchor = event->data.scalar.anchor;
	else if (event->type == YAML_SEQUENCE_START_EVENT)
		anchor = event->data.sequence_start.anchor;
	else if (event->type == YAML_MAPPING_START_EVENT)
		anchor = event->data.mapping_start.anchor;
	if (anchor)
		return fail(r, &event->start_mark, "anchors (&name) are not supported");
	if (depth > YAML_DEPTH_MAX)
		return fail(r, &event->start_mark, "nested too deeply");
	if (++r->nodes > YAML_NODES_MAX)
		return fail(r, &event->start_mark, "the file has too many entries");
	return 0;
}

static int read_node(
	struct reader *r, const yaml_event_t *event, unsigned depth, struct yaml_node **out)
{
	struct yaml_node *node;
	int ret = check_event(r, event, depth);

	if (ret)
		return ret;
	node = calloc(1, sizeof(*node));
	if (!node)
		return err_set(r->e, -ENOMEM, "%s: out of memory", r->path);
	node->line = (unsigned)event->start_mark.line + 1;
	node->column = (unsigned)event->start_mark.column + 1;
	if (event->type == YAML_SCALAR_EVENT) {
		node->kind = YAML_TEXT;
		node->text = strdup((const char *)event->data.scalar.value);
		if (!node->text)
			ret = err_set(r->e, -ENOMEM, "%s: out of memory", r->path);
		else if (strlen(node->text) != event->data.scalar.length)
			ret = fail(r, &event->start_mark, "text with a zero byte");
	} else {
		node->kind = event->type == YAML_MAPPING_START_EVENT ? YAML_MAP : YAML_LIST;
		ret = read_items(r, node, depth);
	}
	if (ret) {
		yaml_free(node);
		return ret;
	}
	*out = node;
	return 0;
}

/* Takes the next event, which the grammar says is of no interest, or the root node. */
static int read_document(struct reader *r, struct yaml_node **root)
{
	yaml_event_t event;
	bool end = false;
	int ret = 0;

	while (!ret && !end) {
		ret = next_event(r, &event);
		if (ret)
			break;
		if (event.type == YAML_STREAM_END_EVENT)
			end = true;
		else if (event.type == YAML_DOCUMENT_START_EVENT && *root)
			ret = fail(
				r, &event.start_mark, "a second document; a system file has one");
		else if (event.type != YAML_STREAM_START_EVENT &&
			 event.type != YAML_DOCUMENT_START_EVENT &&
			 event.type != YAML_DOCUMENT_END_EVENT)
			ret = read_node(r, &event, 0, root);
		yaml_event_delete(&event);
	}
	if (!ret && !*root)
		ret = err_set(r->e, -EINVAL, "%s: the file is empty", r->path);
	return ret;
}

static int open_file(const char *path, FILE **f, struct err *e)
{
	struct stat st;

	*f = fopen(path, "re");
	if (!*f)
		return err_sys(e, -errno, "cannot open %s", path);
	if (fstat(fileno(*f), &st))
		return err_sys(e, -errno, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s is not a regular file", path);
	if (st.st_size > YAML_FILE_MAX)
		return err_set(e, -EFBIG, "%s has %lld bytes; at most %u are allowed", path,
			(long long)st.st_size, YAML_FILE_MAX);
	return 0;
}

int yaml_read(struct yaml_node **root, const char *path, struct err *e)
{
	struct reader r = { .path = path, .e = e };
	autofclose FILE *f = NULL;
	int ret = open_file(path, &f, e);

	if (ret)
		return ret;
	if (!yaml_parser_initialize(&r.parser))
		return err_set(e, -ENOMEM, "%s: out of memory", path);
	yaml_parser_set_input_file(&r.parser, f);
	*root = NULL;
	ret = read_document(&r, root);
	yaml_parser_delete(&r.parser);
	if (ret) {
		yaml_free(*root);
		*root = NULL;
	}
	return ret;
}
