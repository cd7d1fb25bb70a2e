#!/bin/bash
# Runs a program in a real terminal on a screen of its own, without a monitor, until it is killed.
#
#   usage: terminal.sh xterm|kitty|tmux FILE PROGRAM [ARGS...]
#
# xterm shows pictures as sixels, kitty by its own protocol, tmux (in xterm) by half-blocks. The number of the
# screen is written to FILE:
#
#   DISPLAY=:$(cat FILE) import -window root shot.png
set -eu
kind=$1
told=$2
shift 2
home=$(mktemp -d)
children=()
finish() {
    if [ "$kind" = tmux ]; then tmux -L "secchi-$$" kill-server 2>/dev/null || true; fi
    kill "${children[@]}" 2>/dev/null || true
    wait || true
    rm -rf "$home"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP

Xvfb -displayfd 3 -screen 0 1000x700x24 -nolisten tcp 3>"$home/screen" 2>/dev/null &
children+=($!)
until [ -s "$home/screen" ]; do
    kill -0 "${children[0]}"
    sleep 0.05
done
DISPLAY=:$(cat "$home/screen")
export DISPLAY
unset TMUX TERM_PROGRAM COLORTERM SSH_TTY SSH_CONNECTION

in_xterm() {
    xterm -ti vt340 -geometry 120x40+0+0 -fa 'DejaVu Sans Mono' -fs 10 \
        -xrm 'XTerm*decTerminalID: vt340' -xrm 'XTerm*numColorRegisters: 256' -xrm 'XTerm*disallowedWindowOps:' \
        -e "$@" &
}
case $kind in
    xterm) in_xterm "$@" ;;
    tmux) in_xterm tmux -L "secchi-$$" -f /dev/null new-session "$(printf '%q ' "$@")" ;;
    kitty)
        LIBGL_ALWAYS_SOFTWARE=1 HOME="$home" XDG_RUNTIME_DIR="$home" kitty \
            -o update_check_interval=0 -o shell_integration=disabled -o remember_window_size=no \
            -o initial_window_width=1000 -o initial_window_height=700 "$@" &
        ;;
    *)
        echo "no terminal is called $kind here" >&2
        exit 2
        ;;
esac
children+=($!)
mv "$home/screen" "$told"
wait "${children[1]}"
