/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A YAML file as a tree that remembers where everything stood. Bounded: size, depth and number of
 * nodes; one document; no anchors, aliases or tags.
 */
#pragma once

#include "base/err.h"

#define YAML_FILE_MAX  (1u << 20) /* bytes */
#define YAML_DEPTH_MAX 16u
#define YAML_NODES_MAX 20000u

enum yaml_kind { YAML_TEXT, YAML_MAP, YAML_LIST };

/* One node. Lines and columns count from 1. */
struct yaml_node {
	enum yaml_kind kind;
	unsigned line, column;
	char *text;		  /* YAML_TEXT */
	struct yaml_node **items; /* YAML_LIST: the items; YAML_MAP: key, value, key, value, ... */
	unsigned n;		  /* entries of `items` */
};

/* Reads a file. On failure the message begins with FILE:LINE:COLUMN where that is known. */
int yaml_read(struct yaml_node **root, const char *path, struct err *e);
/* Accepts NULL. */
void yaml_free(struct yaml_node *node);
/* "text", "a map", "a list". */
const char *yaml_kind_name(enum yaml_kind kind);
