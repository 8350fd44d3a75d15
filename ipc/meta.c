/* Lookup in the generated tables. */
#include "ipc/meta.h"

const struct fzipc_message_meta *fzipc_meta_find_maybe(const ProtobufCMessageDescriptor *d)
{
	for (size_t i = 0; i < fzipc_n_message_metas; i++) {
		if (fzipc_message_metas[i].desc == d)
			return &fzipc_message_metas[i];
	}
	return NULL;
}

const struct fzipc_field_meta *fzipc_meta_field(
	const struct fzipc_message_meta *m, const ProtobufCFieldDescriptor *f)
{
	return &m->fields[f - m->desc->fields];
}
