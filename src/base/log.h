/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's own log: one line a message on stderr (journald or a file takes it from there), with time and level.
 * What is passed up as an error is logged by nobody but the last one who holds it. No secrets. Never waits for whoever
 * reads stderr: what that does not take is kept for it, up to some 64 KiB, then counted. For the loop's thread. */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

void log_set_level(enum log_level level);
void log_message(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...)   log_message(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)    log_message(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...)   log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
