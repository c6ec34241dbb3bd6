/* SPDX-License-Identifier: Apache-2.0 */
/* A script for /bin/sh in the container, with what POSIX shells have built in: sh ID SIGNAL sends the signal to the command
 * whose span has that id, which is in its environment; the parent of the first process of `podman exec` is outside, and its
 * number 0. With END in place of a signal it ends all processes that have the id: by SIGTERM, after two seconds by SIGKILL. */
#ifndef LOOM_TRACE_PROCESS_CONTAINER_SIGNAL_SCRIPT_H
#define LOOM_TRACE_PROCESS_CONTAINER_SIGNAL_SCRIPT_H

#define SIGNAL_SCRIPT_END "END"

static const char signal_script[] =
    "id=$1 signal=$2\n"
    "look() {\n"
    "    all= first=\n"
    "    for d in /proc/[0-9]*; do\n"
    "        found=\n"
    "        while IFS= read -r line || [ -n \"$line\" ]; do\n"
    "            case $line in *LOOM_SPAN_ID=$id*) found=1 ;; esac\n"
    "        done < \"$d/environ\"\n"
    "        if [ -n \"$found\" ] && read -r stat < \"$d/stat\"; then\n"
    "            all=\"$all ${d#/proc/}\"\n"
    "            set -- ${stat##*) }\n"
    "            case $1$2 in Z*) ;; ?0) first=\"$first ${d#/proc/}\" ;; esac\n"
    "        fi\n"
    "    done 2> /dev/null\n"
    "}\n"
    "look\n"
    "if [ \"$signal\" != END ]; then\n"
    "    kill -\"$signal\" ${first:-$all}\n"
    "    exit\n"
    "fi\n"
    "[ -z \"$all\" ] || kill -TERM $all\n"
    "for turn in 1 2 3 4 5 6 7 8 9 10; do\n"
    "    [ -n \"$all\" ] || exit 0\n"
    "    sleep 0.2 2> /dev/null || sleep 1\n"
    "    look\n"
    "done\n"
    "[ -z \"$all\" ] || kill -KILL $all\n";

#endif
