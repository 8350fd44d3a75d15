/* Which function answers which method. */
#include "daemon/rpc.h"

const struct fzipc_handlers fzd_handlers = {
	.get_status = fzd_get_status,
	.watch = fzd_watch,
	.show_host = fzd_show_host,
	.revert_host = fzd_revert_host,
	.get_settings = fzd_get_settings,
	.set_setting = fzd_set_setting,
	.unset_setting = fzd_unset_setting,
	.validate_settings = fzd_validate_settings,
	.get_policy = fzd_get_policy,
	.reload = fzd_reload_all,
	.logs = fzd_logs,
	.get_log_level = fzd_get_log_level,
	.set_log_level = fzd_set_log_level,
	.bug_report = fzd_bug_report,
	.get_metrics = fzd_get_metrics,
	.get_health = fzd_get_health,
	.bench = fzd_bench,
	.import_token = fzd_import_token,
	.remove_token = fzd_remove_token,
	.get_token_status = fzd_get_token_status,
	.get_version = fzd_get_version,
};
