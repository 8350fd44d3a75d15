/* Device ids: computed, kept, made up, and their form on the wire. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/io/device_id.h"
#include "support/test.h"

static const char machine_id[] = "0123456789abcdef0123456789abcdef\n";

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	CHECK(f && fputs(text, f) >= 0);
	fclose(f);
}

TEST(device_id, is_the_hmac_of_the_machine_id_with_its_newline)
{
	/* printf '0123456789abcdef0123456789abcdef\n' | openssl dgst -sha256 -hmac e1e465ce763e4759945c650ac334501f */
	char id[65];
	fzp_device_id_compute(FZP_CLIENT, fz_bytes_of_str(machine_id), id);
	CHECK_STR(id, "25746dc26c1cc478780348a72316d3f4c2869a29b2a4836b38bc2ad3c3d69e8c");
	fzp_device_id_compute(FZP_GATEWAY, fz_bytes_of_str(machine_id), id);
	CHECK_STR(id, "eeefe5d1cb3807dfc3ae24794878ec3147027390d839d1d718d8e42bcfde3336");
}

TEST(device_id, a_uuid_is_hashed_and_anything_else_sent_as_it_is)
{
	char out[FZP_DEVICE_ID_MAX + 1];
	/* printf 1a2b3c4d-0000-4000-8000-0123456789ab | sha256sum */
	CHECK_INT(fzp_external_id("1a2b3c4d-0000-4000-8000-0123456789ab", out), 0);
	CHECK_STR(out, "acd2188d0080efab9595bc9edb56fa7dd053e5b4c939eaf1bc79ed02a72fa650");
	CHECK_INT(fzp_external_id("my-laptop", out), 0);
	CHECK_STR(out, "my-laptop");
	CHECK_INT(fzp_external_id("", out), -EINVAL);
	CHECK_INT(fzp_external_id("a b", out), -EINVAL);
	CHECK_INT(fzp_external_id("a\nb", out), -EINVAL);
	char longest[FZP_DEVICE_ID_MAX + 2];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	CHECK_INT(fzp_external_id(longest, out), -EINVAL);
	longest[FZP_DEVICE_ID_MAX] = '\0';
	CHECK_INT(fzp_external_id(longest, out), 0);
}

TEST(device_id, comes_from_the_setting_then_the_file_then_the_machine_then_chance)
{
	char dir[] = "/tmp/fz-id-XXXXXX", file[64], machine[64], id[FZP_DEVICE_ID_MAX + 1];
	char again[FZP_DEVICE_ID_MAX + 1];
	CHECK(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/id.json", dir);
	snprintf(machine, sizeof(machine), "%s/machine-id", dir);
	struct fzp_device_id_params params = { FZP_CLIENT, "set", file, machine };

	CHECK_INT(fzp_device_id_get(&params, id), 0);
	CHECK_STR(id, "set");
	params.configured = "";
	CHECK_INT(fzp_device_id_get(&params, id), 0); /* nothing else is there: made up, and kept */
	CHECK_UINT(strlen(id), 64);
	CHECK_INT(fzp_device_id_get(&params, again), 0);
	CHECK_STR(again, id);
	struct stat st;
	CHECK_INT(stat(file, &st), 0);
	CHECK_UINT(st.st_mode & 0777, 0600);

	put(machine, machine_id);
	CHECK_INT(fzp_device_id_get(&params, again), 0); /* the file still wins */
	CHECK_STR(again, id);
	CHECK_INT(unlink(file), 0);
	CHECK_INT(fzp_device_id_get(&params, id), 0);
	CHECK_STR(id, "25746dc26c1cc478780348a72316d3f4c2869a29b2a4836b38bc2ad3c3d69e8c");
	CHECK_INT(access(file, F_OK), -1); /* what can be computed need not be kept */

	put(file, "{\"id\":\"kept\"}");
	CHECK_INT(fzp_device_id_get(&params, id), 0);
	CHECK_STR(id, "kept");
	put(file, "{\"id\":7}");
	CHECK_INT(fzp_device_id_get(&params, id),
		-EINVAL); /* not overwritten: someone's id was there */
	CHECK_STR(id, "kept");
	unlink(file);
	unlink(machine);
	rmdir(dir);
}
