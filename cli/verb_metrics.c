/* metrics --openmetrics: the text form that scrapers read (OpenMetrics 1.0). */
#include <string.h>

#include "cli/run.h"

static void put_escaped(const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			putchar('\\');
		if (*text == '\n')
			fputs("\\n", stdout);
		else
			putchar(*text);
	}
}

static void put_labels(const Fzpb__Metric *m)
{
	for (size_t i = 0; i < m->n_labels; i++) {
		const char *label = m->labels[i];
		size_t n = strcspn(label, "=");
		printf("%s%.*s=\"", i ? "," : "{", (int)n, label);
		put_escaped(label[n] == '=' ? label + n + 1 : "");
		printf("\"%s", i + 1 == m->n_labels ? "}" : "");
	}
}

static void put_family(const Fzpb__Metric *m)
{
	bool is_counter = m->has_kind && m->kind == FZPB__METRIC__KIND__COUNTER;
	printf("# TYPE %s %s\n", m->name, is_counter ? "counter" : "gauge");
	if (m->unit)
		printf("# UNIT %s %s\n", m->name, m->unit);
	if (m->help) {
		printf("# HELP %s ", m->name);
		put_escaped(m->help);
		putchar('\n');
	}
}

static bool on_metrics(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	const Fzpb__MetricSet *set = (const Fzpb__MetricSet *)(const void *)msg;
	(void)user;
	(void)run;
	const char *family = "";
	for (size_t i = 0; i < set->n_metrics; i++) {
		const Fzpb__Metric *m = set->metrics[i];
		if (!m->name)
			continue;
		if (strcmp(m->name, family) != 0)
			put_family(m);
		family = m->name;
		printf("%s%s", m->name,
			m->has_kind && m->kind == FZPB__METRIC__KIND__COUNTER ? "_total" : "");
		put_labels(m);
		printf(" %.15g\n", m->value);
	}
	fputs("# EOF\n", stdout);
	return true;
}

int fzctl_hook_metrics(struct fzctl_run *run);

int fzctl_hook_metrics(struct fzctl_run *run)
{
	if (!fzctl_local_maybe(run, "openmetrics"))
		return fzctl_call_and_print(run, -1);
	return fzctl_call(run, run->verb->method, run->request, -1, on_metrics, NULL);
}
