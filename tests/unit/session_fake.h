/* A data plane that writes down what the session tells it, in the place of session_tunnel.c. */
#pragma once

#include "daemon/session_tunnel.h"

/* The one made last, NULL after its end. */
struct fz_session_tunnel *fake_tunnel(void);
/* "set_resources 2;authorized GATEWAY;..." since the last call. */
const char *fake_log(void);
/* How often the last one was asked for its routes: the host was brought in line. */
uint32_t fake_n_applied(void);
/* What the next authorization is answered with, and what making a tunnel. */
void fake_set(int authorized, int made);
/* The session's callbacks. */
const struct fz_session_tunnel_params *fake_params(void);
