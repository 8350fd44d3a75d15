# Process ids are used again, sooner than a test ends on a busy machine: what is to be ended later is named by its id and the
# time it started, and nobody else is hit.

# process_of PID: its name, or nothing if it is gone
process_of() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	# Behind the command, which may hold anything: state is the third field, the start time the 22nd.
	# shellcheck disable=SC2086 # fields
	set -- "$1" ${stat##*) }
	[[ $2 == Z ]] || echo "$1:${21}"
}

is_running() { [[ -n $1 && $(process_of "${1%%:*}") == "$1" ]]; } # NAME

end_process() { # SIGNAL NAME
	is_running "$2" && kill -"$1" "${2%%:*}" 2>/dev/null
}
