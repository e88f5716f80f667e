/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of avp: one function per command, each in cmd_NAME.c. */
#pragma once

/* Exit statuses of every command. */
#define EXIT_OK	   0
#define EXIT_FAULT 1 /* failed at run time */
#define EXIT_USAGE 2 /* wrong usage or configuration */

/* One command. argv[0] is the command's name. */
struct cli_command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary; /* one line; NULL: not listed in the help */
};

int cmd_board(int argc, char **argv);
int cmd_check(int argc, char **argv);
/* Runs avp-conform, which has commands of these names. */
int cmd_conform(int argc, char **argv);
int cmd_connect(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_device(int argc, char **argv);
int cmd_dtb(int argc, char **argv);
int cmd_efivar(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_link(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_monitor(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_restart(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_sensors(int argc, char **argv);
int cmd_sign(int argc, char **argv);
int cmd_start(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_suspend(int argc, char **argv);
int cmd_tell(int argc, char **argv);
int cmd_scmi_platform(int argc, char **argv);
int cmd_canbus(int argc, char **argv);
int cmd_switch(int argc, char **argv);
int cmd_wires(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_wakeup(int argc, char **argv);
