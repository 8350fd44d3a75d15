/* Thin over jansson; lengths are checked here so that no caller meets an unbounded string. */
#include "control/json.h"

#include <string.h>

/*
 * Each value but the first follows one of these outside a string. Counted before anything is made of them: a text of brackets
 * alone would grow forty times when it is parsed.
 */
static bool has_too_many(struct fz_bytes text)
{
	uint64_t n = 0;
	bool is_string = false;
	if (text.n <= FZP_JSON_VALUES_MAX)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		if (is_string)
			i += c == '\\';
		else
			n += c == '[' || c == '{' || c == ',' || c == ':';
		if (c == '"')
			is_string = !is_string;
	}
	return n >= FZP_JSON_VALUES_MAX;
}

json_t *fzp_json_parse(struct fz_bytes text)
{
	json_error_t error;
	if (has_too_many(text))
		return NULL;
	return json_loadb(
		(const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
}

void fzp_json_unrefp(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}

bool fzp_json_text(const json_t *object, const char *name, size_t max, const char **ret_text)
{
	const json_t *v = json_object_get(object, name);
	if (!json_is_string(v) || json_string_length(v) > max ||
		strlen(json_string_value(v)) != json_string_length(v))
		return false;
	*ret_text = json_string_value(v);
	return true;
}

bool fzp_json_bool(const json_t *object, const char *name, bool *ret_value)
{
	const json_t *v = json_object_get(object, name);
	if (!json_is_boolean(v))
		return false;
	*ret_value = json_is_true(v);
	return true;
}

bool fzp_json_uint(const json_t *object, const char *name, uint64_t max, uint64_t *ret_value)
{
	const json_t *v = json_object_get(object, name);
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		(uint64_t)json_integer_value(v) > max)
		return false;
	*ret_value = (uint64_t)json_integer_value(v);
	return true;
}

bool fzp_json_ip(
	const json_t *object, const char *name, enum fz_family family, struct fz_ip *ret_ip)
{
	const char *text;
	struct fz_ip ip;
	if (!fzp_json_text(object, name, FZ_IP_TEXT_LEN, &text) || fz_ip_parse(text, &ip) < 0 ||
		ip.family != family)
		return false;
	*ret_ip = ip;
	return true;
}

bool fzp_json_is_null(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);
	return !v || json_is_null(v);
}
