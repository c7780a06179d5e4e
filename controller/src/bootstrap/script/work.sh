# As root. $1: nonce, $2: the address that this session comes from.
umask 022;
n=$1; agents=/opt/foundry/agents; mine=/etc/foundry/enrolment;
say() { echo "@@foundry-$n $*"; };
have=none;
link=$(readlink "$agents/current" 2>/dev/null) && [ -x "$agents/$link/bin/foundry-agent" ] && have=$link;
enrolled=none; since=0;
if [ -r "$mine" ]; then read -r fleet id rest <"$mine"; enrolled=$fleet/$id; since=$(date -r "$mine" +%s 2>/dev/null); fi;
version=none;
if [ -d /run/systemd/system ]; then
version=$(for f in /usr/lib/systemd/systemd /lib/systemd/systemd; do
if [ -x "$f" ]; then "$f" --version; break; fi; done 2>/dev/null | { read -r x v y; echo "${v:-0}"; });
fi;
say hello arch=$(uname -m) uid=$(id -u) init=$(cat /proc/1/comm 2>/dev/null) systemd=$version kernel=$(uname -r)
clock=$(date +%s) agent=$have enrolled=${enrolled:-none} since=${since:-0} client=$2;
read -r verb x y || exit 0;
case $verb in
keep) d=$x; sent=no;;
send) d=$y; sent=yes; dir=$agents/$d/bin; draft=$dir/.draft.$$;
undo() { rm -f "$draft" "$dir/foundry-agent"; rmdir "$dir" "$agents/$d" "$agents" /opt/foundry 2>/dev/null; };
trap "undo; exit 1" HUP INT TERM;
why=$(exec 2>&1; mkdir -p "$dir" && head -c "$x" | gzip -dc >"$draft" && [ "$(sha256sum <"$draft")" = "$d  -" ]
&& chmod 755 "$draft" && { sync "$draft" 2>/dev/null || :; } && mv -f "$draft" "$dir/foundry-agent")
|| { undo; say failed unpack $(echo "$why" | grep -m 1 .); exit 1; };
trap - HUP INT TERM;
if command -v restorecon >/dev/null 2>&1; then restorecon -R /opt/foundry >/dev/null 2>&1; fi;;
*) exit 0;;
esac;
say enrol;
"$agents/$d/bin/foundry-agent" enrol; code=$?;
if [ $sent = yes ]; then [ "$(readlink "$agents/current" 2>/dev/null)" = "$d" ] || undo; fi;
say ended $code;
read -r verb x y || exit 0;
if [ "$verb" = journal ]; then
journalctl -u foundry-agent.service -n 15 --no-pager -o cat 2>/dev/null | while read -r x; do say journal "$x"; done;
fi;
say done
