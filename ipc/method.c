/* Lookup in the generated method table; a few dozen rows, so a walk. */
#include "ipc/method.h"

const struct fzipc_method *fzipc_method_find_maybe(uint32_t id)
{
	for (size_t i = 0; i < fzipc_n_methods; i++) {
		if (fzipc_methods[i].id == id)
			return &fzipc_methods[i];
	}
	return NULL;
}
