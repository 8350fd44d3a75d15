/*
 * Runs a fuzz target over its committed corpus without libFuzzer, so that every build on every compiler replays every
 * input that once mattered. Arguments are files or directories (one level). Fails if a directory holds no input: an
 * empty corpus would pass for ever. Beside each file it runs its prefixes, which is where parsers over-read.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_LEN_MAX (1u << 20)
#define N_PREFIXES    64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every input is a heap block of exactly its size, so that a sanitizer sees the first byte beyond. */
static bool run_input(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	if (!copy)
		return false;
	if (size > 0)
		memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return true;
}

static bool run_file(const char *path)
{
	FILE *f = fopen(path, "rbe");
	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	uint8_t *data = malloc(INPUT_LEN_MAX);
	size_t size = data ? fread(data, 1, INPUT_LEN_MAX, f) : 0;
	bool good = data && !ferror(f);
	fclose(f);
	size_t n = size < N_PREFIXES ? size : N_PREFIXES;
	for (size_t i = 0; good && i < n; i++)
		good = run_input(data, size * i / n);
	good = good && run_input(data, size);
	if (!good)
		fprintf(stderr, "%s: cannot be read\n", path);
	free(data);
	return good;
}

static bool run_directory(const char *path, unsigned *n_files)
{
	DIR *dir = opendir(path);
	if (!dir) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	bool good = true;
	for (const struct dirent *e = readdir(dir); e && good; e = readdir(dir)) {
		char name[4096];
		if (e->d_name[0] == '.')
			continue;
		int n = snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		good = n > 0 && (size_t)n < sizeof(name) && run_file(name);
		*n_files += good;
	}
	closedir(dir);
	return good;
}

int main(int argc, char **argv)
{
	unsigned n_files = 0;
	for (int i = 1; i < argc; i++) {
		struct stat st;
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			if (!run_directory(argv[i], &n_files))
				return 1;
		} else if (run_file(argv[i])) {
			n_files++;
		} else {
			return 1;
		}
	}
	printf("%u inputs replayed\n", n_files);
	if (n_files == 0)
		fprintf(stderr, "no input: the corpus is missing\n");
	return n_files > 0 ? 0 : 1;
}
