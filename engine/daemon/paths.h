/*
 * Where firezoned keeps things. Fixed: what is tested elsewhere is tested in a mount namespace of its own, not through
 * a switch. Each directory is made by the package (tmpfiles, StateDirectory=) or, for a daemon started by hand as root,
 * by the daemon.
 */
#pragma once

#define FZD_ETC_DIR       "/etc/firezone" /* root's */
#define FZD_CONFIG_FILE   FZD_ETC_DIR "/firezoned.conf"
#define FZD_CONFIG_DIR    FZD_ETC_DIR "/firezoned.conf.d" /* *.conf, in name order, after the file */
#define FZD_POLICY_DIR    FZD_ETC_DIR "/policy.d" /* *.conf, in name order; wins over everything */
#define FZD_TOKEN_PATH    FZD_ETC_DIR "/token" /* default of token_path */
#define FZD_RUN_DIR       "/run/firezone" /* root's, 0755: the socket's directory */
#define FZD_STATE_DIR     "/var/lib/firezone" /* the daemon's user's, 0700 */
#define FZD_LOCK          FZD_STATE_DIR "/lock" /* held by the running daemon */
#define FZD_HOST_JOURNAL  FZD_STATE_DIR "/host.journal"
#define FZD_STORED_FILE   FZD_STATE_DIR "/settings.conf" /* what `settings set` keeps */
#define FZD_IMPORTED_FILE FZD_STATE_DIR "/token" /* what `token import` keeps */
#define FZD_DEVICE_FILE   FZD_STATE_DIR "/device.json" /* a device id that had to be made up */

/* systemd's credential, in $CREDENTIALS_DIRECTORY. */
#define FZD_CREDENTIAL "firezone-token"
