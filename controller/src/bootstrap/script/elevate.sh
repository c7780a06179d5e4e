# As the user who logged in. $1: nonce, $2: what sudo asks with, $3: auto, sudo or none, $4: the script for root.
LC_ALL=C; export LC_ALL;
client=${SSH_CONNECTION%% *};
if [ "$(id -u)" = 0 ]; then
exec sh -c "$4" foundry "$1" "$client";
fi;
if [ "$3" = none ]; then echo "@@foundry-$1 failed not-root $(id -un)"; exit 3; fi;
command -v sudo >/dev/null 2>&1 || { echo "@@foundry-$1 failed no-sudo $(id -un)"; exit 3; };
if sudo -k -n true 2>/dev/null; then
exec sudo -n sh -c "$4" foundry "$1" "$client";
fi;
exec sudo -k -S -p "$2" sh -c "$4" foundry "$1" "$client"
