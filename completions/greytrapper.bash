# Completion of greytrapper(8) in bash(1).

_greytrapper()
{
	local word=${COMP_WORDS[COMP_CWORD]}
	COMPREPLY=()
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-D)
		;;
	-f)
		compopt -o default ;;
	*)
		COMPREPLY=($(compgen -W '-D -V -d -f -h -n -v' -- "$word")) ;;
	esac
}

complete -F _greytrapper greytrapper
