/* A daemon without a portal session: it has a place for one, and says that there is none. */
#include "daemon/client.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"

struct fzd_client {
	struct fzd *d;
	bool has_token;
};

void fzd_client_free(struct fzd_client *c)
{
	free(c);
}

int fzd_client_new(struct fzd *d, struct fzd_client **ret_client)
{
	struct fzd_client *c = fz_new(struct fzd_client);
	if (!c)
		return -ENOMEM;
	c->d = d;
	*ret_client = c;
	return 0;
}

void fzd_client_serve(struct fzd_client *c, struct fz_token *token)
{
	fz_token_wipep(token);
	c->has_token = true;
}

void fzd_client_stop(struct fzd_client *c)
{
	c->has_token = false;
}

bool fzd_client_status(const struct fzd_client *c, struct fz_session_status *ret)
{
	(void)c;
	(void)ret;
	return false;
}

bool fzd_client_owner(const struct fzd_client *c, uint32_t *ret_uid)
{
	(void)c;
	(void)ret_uid;
	return false;
}

bool fzd_client_is_signed_in(const struct fzd_client *c)
{
	return c->has_token;
}

int fzd_client_add_words(const struct fzd_client *c, struct fz_redactor *r)
{
	(void)c;
	(void)r;
	return 0;
}
