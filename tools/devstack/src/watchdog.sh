# Runs "$@" for as long as standard input stays open, then stops it and cleans up.
# The parent holds the other end of that pipe: it closes when the parent lets go, and also when the parent is killed.
# SIGUSR2 kills it and leaves the cleaning up for later.
#   WATCHDOG_GRACE      seconds between SIGTERM and SIGKILL; 0 kills at once
#   WATCHDOG_DIRECTORY  removed at the end
over='' grace=$WATCHDOG_GRACE directory=$WATCHDOG_DIRECTORY
unset WATCHDOG_GRACE WATCHDOG_DIRECTORY
trap 'over=1' USR1
trap 'kill -s KILL "$server"' USR2
trap : TERM INT HUP
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
# More than once, since a signal that comes just before `wait` does not end it. SIGHUP comes to a paused group whose
# parent dies.
{ trap '' TERM INT HUP; read -r _ <&3; while kill -s USR1 $$; do sleep 1; done; } >/dev/null 2>&1 &
reader=$!
exec 3<&-

until [ "$over" ]; do
    wait "$server"
    status=$?
    if [ -z "$over" ] && ! kill -s 0 "$server" 2>/dev/null; then
        kill -s KILL "$reader" 2>/dev/null
        exit "$status"
    fi
done

exec >/dev/null 2>&1
if [ "$grace" = 0 ]; then
    kill -s KILL "$server"
else
    # The whole process group: a build's own children too.
    kill -s TERM -- "-$$"
    { sleep "$grace"; kill -s KILL "$server"; } &
fi
while kill -s 0 "$server"; do wait "$server"; done
[ -z "$directory" ] || rm -rf "$directory"
kill -s KILL -- "-$$"
