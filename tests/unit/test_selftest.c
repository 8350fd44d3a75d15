/* The primitives of this build, on this machine, give the published answers. */
#include "support/test.h"

#include "crypto/selftest.h"

TEST(selftest, this_machine_passes_as_often_as_it_is_asked)
{
	CHECK_INT(fz_crypto_selftest(), 0);
	CHECK_INT(fz_crypto_selftest(), 0);
}
