# bash completion for firezonectl, made from ipc/firezone.proto
_firezonectl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cmd= w i n=0
	[[ $cur == '=' ]] && cur=
	[[ $prev == '=' ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}
	for ((i = 1; i < COMP_CWORD; i++)); do
		w=${COMP_WORDS[i]}
		case $w in
		-o|--output|--fields|--socket|--timeout|--events|--until|--count|--events|--until|--count|--lines|--since|--level|--target|--grep|--for|--redact|--output-file|--time|--file|--token-fd) i=$((i + 1)) ;;
		-*) ;;
		*)
			case "${cmd:+$cmd }$w" in
			'status'|'watch'|'monitor'|'host'|'host show'|'host revert'|'settings'|'settings get'|'settings set'|'settings unset'|'settings validate'|'policy'|'policy show'|'reload'|'logs'|'log-level'|'log-level get'|'log-level set'|'bug-report'|'metrics'|'health'|'bench'|'token'|'token import'|'token remove'|'token status'|'version'|'completion'|'help') cmd="${cmd:+$cmd }$w" ;;
			*) n=$((n + 1)) ;;
			esac ;;
		esac
	done
	case "$cmd,$prev" in
	'watch,--events') COMPREPLY=($(compgen -W 'state resources peers dns notify' -- "$cur")); return ;;
	'watch,--until') COMPREPLY=($(compgen -W 'signed_out need_browser connecting raising up reconnecting degraded waiting_network paused down error' -- "$cur")); return ;;
	'watch,--count'|'watch,-n') COMPREPLY=(); return ;;
	'monitor,--events') COMPREPLY=($(compgen -W 'state resources peers dns notify' -- "$cur")); return ;;
	'monitor,--until') COMPREPLY=($(compgen -W 'signed_out need_browser connecting raising up reconnecting degraded waiting_network paused down error' -- "$cur")); return ;;
	'monitor,--count'|'monitor,-n') COMPREPLY=(); return ;;
	'logs,--lines'|'logs,-n') COMPREPLY=(); return ;;
	'logs,--since') COMPREPLY=(); return ;;
	'logs,--level') COMPREPLY=($(compgen -W 'err warning info debug' -- "$cur")); return ;;
	'logs,--target') COMPREPLY=(); return ;;
	'logs,--grep') COMPREPLY=(); return ;;
	'log-level set,--for') COMPREPLY=(); return ;;
	'bug-report,--redact') COMPREPLY=($(compgen -W 'names ips slug' -- "$cur")); return ;;
	'bug-report,--output-file'|'bug-report,-O') compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'bench,--time') COMPREPLY=(); return ;;
	'token import,--file') compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'token import,--token-fd') COMPREPLY=(); return ;;
	*,--output|*,-o) COMPREPLY=($(compgen -W 'human json jsonl terse' -- "$cur")); return ;;
	*,--fields) COMPREPLY=(); return ;;
	*,--socket) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;
	*,--timeout) COMPREPLY=(); return ;;
	esac
	case $cmd in
	'')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		COMPREPLY=($(compgen -W 'status watch monitor host settings policy reload logs log-level bug-report metrics health bench token version completion help' -- "$cur")) ;;
	'status')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--check --output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'watch')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--events --until --count --output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'monitor')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--events --until --count --output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'host') COMPREPLY=($(compgen -W 'show revert' -- "$cur")) ;;
	'host show')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'host revert')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--dry-run --output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'settings') COMPREPLY=($(compgen -W 'get set unset validate' -- "$cur")) ;;
	'settings get')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		0) COMPREPLY=($(compgen -W "$(firezonectl __complete settings 2>/dev/null)" -- "$cur")) ;;
		esac ;;
	'settings set')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		0) COMPREPLY=($(compgen -W "$(firezonectl __complete settings 2>/dev/null)" -- "$cur")) ;;
		1) COMPREPLY=() ;;
		esac ;;
	'settings unset')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		0) COMPREPLY=($(compgen -W "$(firezonectl __complete settings 2>/dev/null)" -- "$cur")) ;;
		esac ;;
	'settings validate')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		0) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
		esac ;;
	'policy') COMPREPLY=($(compgen -W 'show' -- "$cur")) ;;
	'policy show')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'reload')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'logs')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--follow --lines --since --level --target --grep --output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'log-level') COMPREPLY=($(compgen -W 'get set' -- "$cur")) ;;
	'log-level get')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'log-level set')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--for --output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		0) COMPREPLY=($(compgen -W 'err warning info debug' -- "$cur")) ;;
		esac ;;
	'bug-report')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--redact --preview --output-file --output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'metrics')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--openmetrics --output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'health')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--ready --live --output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'bench')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--loopback --time --output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'token') COMPREPLY=($(compgen -W 'import remove status' -- "$cur")) ;;
	'token import')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--file --stdin --token-fd --output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'token remove')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'token status')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'version')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--check --output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	'completion')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		0) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$cur")) ;;
		esac ;;
	'help')
		if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--output --json --fields --quiet --verbose --no-color --socket --timeout --yes --help --version' -- "$cur")); return; fi
		case $n in
		esac ;;
	esac
}
complete -F _firezonectl firezonectl
