# Completion of greytrapctl(8) in fish(1).

set -l commands adopt check convert explain export history list log lookup monitor \
    release reload report scan show simulate spf suggest trap
set -l before "not __fish_seen_subcommand_from $commands"
set -l rules syntax domains senders helo address dynamic stranger crowd rcpt checker dns
set -l forms bgpctl bgpd pf plain rbldnsd spamd zone

complete -c greytrapctl -f
complete -c greytrapctl -n "$before" -a "$commands"
complete -c greytrapctl -n "$before" -s F -r -F -d 'database of spamd'
complete -c greytrapctl -n "$before" -s V -d 'print the version'
complete -c greytrapctl -n "$before" -s h -d 'print all commands'
complete -c greytrapctl -n "$before" -s j -d 'print JSON'
complete -c greytrapctl -n "$before" -s s -r -F -d 'socket of the daemon'
complete -c greytrapctl -n "$before" -s t -x -d 'assume that time'
complete -c greytrapctl -n "$before" -s v -d 'be verbose'

complete -c greytrapctl -n '__fish_seen_subcommand_from adopt' -s f -d 'whoever wrote to it'
complete -c greytrapctl -n '__fish_seen_subcommand_from check' -s r -d 'repair pages of zeros'
complete -c greytrapctl -n '__fish_seen_subcommand_from check' -s x -d "compare with libc's records"
complete -c greytrapctl -n '__fish_seen_subcommand_from check convert list simulate' -F
complete -c greytrapctl -n '__fish_seen_subcommand_from export' -s a -d 'all traps'
complete -c greytrapctl -n '__fish_seen_subcommand_from export' -s c -x -d community
complete -c greytrapctl -n '__fish_seen_subcommand_from export' -s e -r -F -d 'left out'
complete -c greytrapctl -n '__fish_seen_subcommand_from export' -s f -x -a "$forms" -d form
complete -c greytrapctl -n '__fish_seen_subcommand_from export' -s m -x -d 'at most that old'
complete -c greytrapctl -n '__fish_seen_subcommand_from export' -s n -x -d 'at most so many'
complete -c greytrapctl -n '__fish_seen_subcommand_from export' -s o -r -F -d 'file to replace'
complete -c greytrapctl -n '__fish_seen_subcommand_from export' -s u -x -d link
complete -c greytrapctl -n '__fish_seen_subcommand_from export' -s x -x -d 'when it has changed'
complete -c greytrapctl -n '__fish_seen_subcommand_from export history release' -s r -x -a "$rules" -d rule
complete -c greytrapctl -n '__fish_seen_subcommand_from history monitor release report simulate' -s s -x -d 'within that time'
complete -c greytrapctl -n '__fish_seen_subcommand_from log' -a 'brief verbose'
complete -c greytrapctl -n '__fish_seen_subcommand_from lookup simulate spf' -s f -r -F -d configuration
complete -c greytrapctl -n '__fish_seen_subcommand_from release' -s a -d 'all that the daemon trapped'
complete -c greytrapctl -n '__fish_seen_subcommand_from release trap' -a for
complete -c greytrapctl -n '__fish_seen_subcommand_from report' -s H -r -F -d 'write HTML'
complete -c greytrapctl -n '__fish_seen_subcommand_from show' -s o -r -F -d 'file to replace'
complete -c greytrapctl -n '__fish_seen_subcommand_from show' -a 'holds hosts metrics rules traps'
complete -c greytrapctl -n '__fish_seen_subcommand_from simulate' -s M -r -F -d memory
complete -c greytrapctl -n '__fish_seen_subcommand_from simulate' -s c -r -F -d 'old configuration'
complete -c greytrapctl -n '__fish_seen_subcommand_from simulate' -s t -x -d 'assume that time'
complete -c greytrapctl -n '__fish_seen_subcommand_from trap' -a because
complete -c greytrapctl -n '__fish_seen_subcommand_from trap' -s f -d 'trap whitelisted addresses too'
