/* See session_choices.h. */
#include "daemon/session_choices.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "control/io/sock.h"
#include "control/json.h"

#define FILE_NAME "choices.json"
#define FILE_MAX  (256 * 1024)

static int add(struct fz_choices *c, const struct fzp_id *id)
{
	if (c->n == FZ_CHOICES_MAX)
		return FZ_ERR_LIMIT;
	struct fzp_id *grown = fz_realloc(c->disabled, c->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	c->disabled = grown;
	c->disabled[c->n++] = *id;
	return 0;
}

static uint32_t find(const struct fz_choices *c, const char *id)
{
	uint32_t i = 0;
	while (i < c->n && strcmp(c->disabled[i].text, id) != 0)
		i++;
	return i;
}

static void read_kept(struct fz_choices *c)
{
	FZ_CLEANUP(fz_freep) uint8_t *text = NULL;
	size_t len = 0;
	if (fzp_read_file(c->path, FILE_MAX, &text, &len) < 0)
		return;
	FZ_CLEANUP(fzp_json_unrefp) json_t *root = fzp_json_parse(fz_bytes_of(text, len));
	(void)fzp_json_bool(root, "internet", &c->internet);
	const json_t *list = json_object_get(root, "disabled");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *word = json_string_value(json_array_get(list, i));
		struct fzp_id id;
		if (word && fzp_id_parse(word, &id) && find(c, id.text) == c->n && add(c, &id) < 0)
			return;
	}
}

int fz_choices_init(struct fz_choices *c, const char *dir)
{
	*c = (struct fz_choices){ 0 };
	if (!dir)
		return 0;
	size_t cap = strlen(dir) + sizeof("/" FILE_NAME);
	c->path = fz_alloc(cap, 1);
	if (!c->path)
		return -ENOMEM;
	snprintf(c->path, cap, "%s/%s", dir, FILE_NAME);
	read_kept(c);
	return 0;
}

void fz_choices_done(struct fz_choices *c)
{
	free(c->path);
	free(c->disabled);
	*c = (struct fz_choices){ 0 };
}

bool fz_choices_is_disabled(const struct fz_choices *c, const char *id)
{
	return find(c, id) < c->n;
}

static int keep(const struct fz_choices *c)
{
	if (!c->path)
		return 0;
	FZ_CLEANUP(fzp_json_unrefp) json_t *list = json_array();
	for (uint32_t i = 0; i < c->n; i++)
		if (json_array_append_new(list, json_string(c->disabled[i].text)) < 0)
			return -ENOMEM;
	FZ_CLEANUP(fzp_json_unrefp)
	json_t *root = json_pack("{s:b, s:O}", "internet", c->internet, "disabled", list);
	FZ_CLEANUP(fz_freep) char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	return text ? fzp_write_file(c->path, fz_bytes_of_str(text)) : -ENOMEM;
}

int fz_choices_set_internet(struct fz_choices *c, bool on)
{
	c->internet = on;
	return keep(c);
}

int fz_choices_set_disabled(struct fz_choices *c, const char *id, bool disabled)
{
	uint32_t at = find(c, id);
	struct fzp_id parsed;
	if (disabled == (at < c->n))
		return 0;
	if (!disabled) {
		c->disabled[at] = c->disabled[--c->n];
	} else {
		if (!fzp_id_parse(id, &parsed))
			return -EINVAL;
		int r = add(c, &parsed);
		if (r < 0)
			return r;
	}
	return keep(c);
}
