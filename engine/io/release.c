/* See release.h. */
#include "io/release.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"

/* "6.8.0-45-generic" is 6.8.0; 0 if it does not begin with two numbers. */
static uint64_t version_of(const char *release)
{
	uint64_t parts[3] = { 0 };
	int n = 0;
	for (const char *at = release; n < 3 && *at >= '0' && *at <= '9'; at++) {
		while (*at >= '0' && *at <= '9' && parts[n] < 10000)
			parts[n] = parts[n] * 10 + (uint64_t)(*at++ - '0');
		n++;
		if (*at != '.')
			break;
	}
	return n < 2 ? 0 : parts[0] << 32 | parts[1] << 16 | parts[2];
}

#define VERSION(a, b, c) ((uint64_t)(a) << 32 | (uint64_t)(b) << 16 | (c))

bool fz_udp_gso_is_trusted(const char *release)
{
	uint64_t v = version_of(release);
	return v < VERSION(7, 0, 0) || v > VERSION(7, 1, 4);
}

bool fz_tun_uso_is_trusted(const char *release)
{
	uint64_t v = version_of(release);
	return v == 0 || v > VERSION(6, 8, 4);
}

/* "Ubuntu 6.8.0-45.45-generic 6.8.12": the last word. */
static bool read_signature(char ret_release[static FZ_RELEASE_LEN])
{
	FZ_CLEANUP(fz_closep) int fd = open("/proc/version_signature", O_RDONLY | O_CLOEXEC);
	char text[256];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	const char *word = strrchr(text, ' ');
	if (!word || strlen(word + 1) >= FZ_RELEASE_LEN)
		return false;
	memcpy(ret_release, word + 1, strlen(word + 1) + 1);
	return true;
}

void fz_release_read(char ret_release[static FZ_RELEASE_LEN])
{
	struct utsname u;
	ret_release[0] = '\0';
	if (read_signature(ret_release) || uname(&u) != 0)
		return;
	size_t n = strnlen(u.release, FZ_RELEASE_LEN - 1);
	memcpy(ret_release, u.release, n);
	ret_release[n] = '\0';
}
