# Completion of greytrapctl(8) in bash(1).

_greytrapctl()
{
	local word= before= command= options= words= i
	COMPREPLY=()

	# Skip the values of options on the way to the command.
	for ((i = 1; i < COMP_CWORD; i++)); do
		case $before in
		-[Fst]) before=; continue ;;
		esac
		before=${COMP_WORDS[i]}
		[[ $before == -* ]] && continue
		command=$before
		break
	done
	before=${COMP_WORDS[COMP_CWORD - 1]}
	word=${COMP_WORDS[COMP_CWORD]}

	case $command in
	'')
		options='-F -V -h -j -s -t -v'
		words='adopt check convert explain export history list log lookup monitor
		    release reload report scan show simulate spf suggest trap' ;;
	adopt)
		options='-f' ;;
	check)
		options='-r -x' ;;
	export)
		options='-a -c -e -f -m -n -o -r -u -x' ;;
	history)
		options='-r -s' ;;
	log)
		words='brief verbose' ;;
	lookup)
		options='-f' ;;
	monitor)
		options='-s' ;;
	release)
		options='-a -r -s' words='for' ;;
	report)
		options='-H -s' ;;
	show)
		options='-o' words='holds hosts metrics rules traps' ;;
	simulate)
		options='-M -c -f -s -t' ;;
	spf)
		options='-f' ;;
	trap)
		options='-f' words='because for' ;;
	esac

	case $command:$before in
	:-[Fs] | export:-[eo] | show:-o | lookup:-f | report:-H | simulate:-[Mcf] | spf:-f)
		compopt -o default
		return ;;
	*:-t | export:-[cmnux] | history:-s | monitor:-s | release:-s | report:-s | simulate:-s)
		return ;;
	release:for | trap:because | trap:for)
		return ;;
	export:-f)
		options= words='bgpctl bgpd pf plain rbldnsd spamd zone' ;;
	export:-r | history:-r | release:-r)
		options= words='syntax domains senders helo address dynamic stranger crowd rcpt checker dns' ;;
	esac

	case $command:$word in
	*:-*)
		words=$options ;;
	check:* | convert:* | list:* | simulate:*)
		compopt -o default
		return ;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}

complete -F _greytrapctl greytrapctl
