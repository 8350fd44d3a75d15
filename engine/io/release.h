/*
 * What Linux releases are known to do wrong with trains, and not to report: wireguard-engine.md 4.8. What a kernel does report
 * (no offload, EINVAL for a merged write) is found out by trying, and not here.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

#define FZ_RELEASE_LEN 65

/*
 * 7.0.0 to 7.1.4 mangle headers or checksums of GSO trains on some drivers. `release` is uname(2)'s; one that cannot be read
 * is trusted. A guest cannot see that its host has such a kernel.
 */
bool fz_udp_gso_is_trusted(const char *release) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Up to 6.8.4 UDP super-packets written to a TUN are lost if a VXLAN is on their way. */
bool fz_tun_uso_is_trusted(const char *release) FZ_NONNULL(1) FZ_MUST_CHECK;

/* The release that runs here: Ubuntu's kernels keep the upstream one that theirs follows in a file of its own. */
void fz_release_read(char ret_release[static FZ_RELEASE_LEN]);
