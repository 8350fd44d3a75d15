/* Civil dates from days by the proleptic Gregorian calendar, in 400-year eras. */
#include "ipc/timetext.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_SECOND 1000000000

static void civil_of(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
	days += 719468; /* from 0000-03-01 */
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t in_era = days - era * 146097;
	int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * in_year + 2) / 153; /* from March */
	*ret_day = (unsigned)(in_year - (153 * month + 2) / 5 + 1);
	*ret_month = (unsigned)(month < 10 ? month + 3 : month - 9);
	*ret_year = year + era * 400 + (*ret_month <= 2);
}

static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t in_era = year - era * 400;
	int64_t in_year =
		(153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + (int64_t)day - 1;
	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

void fzipc_time_format(int64_t unix_ns, char ret_text[static FZIPC_TIME_TEXT])
{
	int64_t ns = unix_ns % NS_PER_SECOND, seconds = unix_ns / NS_PER_SECOND;
	if (ns < 0) {
		ns += NS_PER_SECOND;
		seconds--;
	}
	int64_t days = seconds / 86400, in_day = seconds % 86400;
	if (in_day < 0) {
		in_day += 86400;
		days--;
	}
	int64_t year;
	unsigned month, day;
	civil_of(days, &year, &month, &day);
	char fraction[12] = "";
	if (ns / 1000 > 0)
		snprintf(fraction, sizeof(fraction), ".%06u", (unsigned)(ns / 1000) % 1000000u);
	snprintf(ret_text, FZIPC_TIME_TEXT, "%04d-%02u-%02uT%02u:%02u:%02u%sZ", (int)year, month,
		day, (unsigned)(in_day / 3600), (unsigned)(in_day / 60 % 60),
		(unsigned)(in_day % 60), fraction);
}

/* n digits, or false. */
static bool digits(const char **text, unsigned n, unsigned *ret_value)
{
	unsigned v = 0;
	for (unsigned i = 0; i < n; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		v = v * 10 + (unsigned)(**text - '0');
	}
	*ret_value = v;
	return true;
}

static bool expect(const char **text, const char *any_of)
{
	if (**text == '\0' || !strchr(any_of, **text))
		return false;
	(*text)++;
	return true;
}

static void take_fraction(const char **text, int64_t *ret_ns)
{
	int64_t unit = NS_PER_SECOND / 10;
	*ret_ns = 0;
	if (**text != '.')
		return;
	for ((*text)++; **text >= '0' && **text <= '9'; (*text)++, unit /= 10)
		*ret_ns += unit * (**text - '0');
}

static bool take_offset(const char **text, int64_t *ret_seconds)
{
	*ret_seconds = 0;
	if (expect(text, "Zz"))
		return true;
	bool is_west = **text == '-';
	unsigned hours, minutes;
	if (!expect(text, "+-") || !digits(text, 2, &hours) || !expect(text, ":") ||
		!digits(text, 2, &minutes))
		return false;
	*ret_seconds = ((int64_t)hours * 60 + minutes) * 60 * (is_west ? -1 : 1);
	return hours < 24 && minutes < 60;
}

bool fzipc_time_parse(const char *text, int64_t *ret_unix_ns)
{
	unsigned year, month, day, hour, minute, second;
	if (!digits(&text, 4, &year) || !expect(&text, "-") || !digits(&text, 2, &month) ||
		!expect(&text, "-") || !digits(&text, 2, &day) || !expect(&text, "Tt "))
		return false;
	if (!digits(&text, 2, &hour) || !expect(&text, ":") || !digits(&text, 2, &minute) ||
		!expect(&text, ":") || !digits(&text, 2, &second))
		return false;
	int64_t ns, offset;
	take_fraction(&text, &ns);
	if (!take_offset(&text, &offset) || *text != '\0')
		return false;
	if (year < 1700 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31 ||
		hour > 23 || minute > 59 || second > 60)
		return false;
	int64_t seconds =
		days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
	*ret_unix_ns = seconds * NS_PER_SECOND + ns;
	return true;
}

static const struct {
	const char *name;
	uint64_t ns;
} units[] = {
	{ "d", 86400ull * NS_PER_SECOND },
	{ "h", 3600ull * NS_PER_SECOND },
	{ "min", 60ull * NS_PER_SECOND },
	{ "s", NS_PER_SECOND },
	{ "ms", 1000000 },
	{ "us", 1000 },
	{ "ns", 1 },
};

/* The length of the unit at *text, which is moved on; 0 if there is none. */
static uint64_t take_unit(const char **text)
{
	size_t n = strspn(*text, "abcdefghijklmnopqrstuvwxyz");
	for (size_t i = 0; i < FZ_ARRAY_LEN(units); i++) {
		bool is_minute = n == 1 && **text == 'm' && strcmp(units[i].name, "min") == 0;
		if (!is_minute &&
			(strlen(units[i].name) != n || strncmp(*text, units[i].name, n) != 0))
			continue;
		*text += n;
		return units[i].ns;
	}
	return 0;
}

bool fzipc_duration_parse(const char *text, uint64_t *ret_ns)
{
	uint64_t sum = 0;
	bool is_first = true;
	while (*text || is_first) {
		uint64_t v = 0;
		size_t n = strspn(text, "0123456789");
		if (n == 0 || n > 15)
			return false;
		for (size_t i = 0; i < n; i++)
			v = v * 10 + (uint64_t)(text[i] - '0');
		text += n;
		uint64_t unit = *text == '\0' && is_first ? NS_PER_SECOND : take_unit(&text);
		if (unit == 0 || __builtin_mul_overflow(v, unit, &v) ||
			__builtin_add_overflow(sum, v, &sum))
			return false;
		is_first = false;
	}
	*ret_ns = sum;
	return true;
}

void fzipc_duration_format(uint64_t ns, char ret_text[static FZIPC_TIME_TEXT])
{
	size_t i = 0;
	while (i + 1 < FZ_ARRAY_LEN(units) && ns < units[i].ns)
		i++;
	uint64_t whole = ns / units[i].ns, rest = ns % units[i].ns;
	/* Days, hours and minutes are shown with the next smaller unit. */
	uint64_t smaller = i < 3 ? rest / units[i + 1].ns : 0;
	if (smaller > 0)
		snprintf(ret_text, FZIPC_TIME_TEXT, "%llu %s %llu %s", (unsigned long long)whole,
			units[i].name, (unsigned long long)smaller, units[i + 1].name);
	else
		snprintf(ret_text, FZIPC_TIME_TEXT, "%llu %s", (unsigned long long)whole,
			units[i].name);
}
