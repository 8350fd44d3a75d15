/* Intrusive doubly linked list, circular with the head inside; a node is in at most one list. One thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct fz_node {
	struct fz_node *prev, *next;
};

struct fz_list {
	struct fz_node head;
};

static inline void fz_list_init(struct fz_list *l)
{
	l->head.prev = l->head.next = &l->head;
}

static inline bool fz_list_is_empty(const struct fz_list *l)
{
	return l->head.next == &l->head;
}

static inline void fz_list_push_back(struct fz_list *l, struct fz_node *n)
{
	n->prev = l->head.prev;
	n->next = &l->head;
	l->head.prev->next = n;
	l->head.prev = n;
}

/* True if the node is in a list; nodes start zeroed and are zeroed by fz_list_remove. */
static inline bool fz_node_is_linked(const struct fz_node *n)
{
	return n->prev && n->next;
}

/* The node must be in a list. */
static inline void fz_list_remove(struct fz_node *n)
{
	fz_assert_slow(fz_node_is_linked(n));
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->prev = n->next = NULL;
}

#define FZ_CONTAINER_OF(ptr, type, member)                                                         \
	((type *)(void *)&((char *)(ptr))[-(ptrdiff_t)offsetof(type, member)])

/* The body may not unlink `node`; FZ_LIST_EACH_SAFE allows it. */
#define FZ_LIST_EACH(list, node)                                                                   \
	for (struct fz_node *node = (list)->head.next; node != &(list)->head; node = node->next)
#define FZ_LIST_EACH_SAFE(list, node, after)                                                       \
	for (struct fz_node *node = (list)->head.next, *after = node->next; node != &(list)->head; \
		node = after, after = node->next)
