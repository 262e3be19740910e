# Completion of greytrapctl(8) and greytrapper(8) in ksh(1): read this file
# from ~/.kshrc.  Where no word fits, ksh completes names of files.

# Options that stand before a command, and the commands.
set -A complete_greytrapctl_1 -- \
	-F -V -h -j -s -t -v \
	adopt check convert explain export history list log lookup monitor \
	release reload report scan show simulate spf suggest trap

# What most often follows a command: its options, topics of show, levels of log,
# and words of trap and release.
set -A complete_greytrapctl_2 -- \
	-H -M -a -c -e -f -m -n -o -r -s -t -u -x \
	holds hosts metrics rules traps \
	brief verbose \
	because for

# Later: words of trap and release, and rules for -r.
set -A complete_greytrapctl -- \
	because for \
	syntax domains senders helo address dynamic stranger crowd rcpt checker dns

set -A complete_greytrapper -- -D -V -d -f -h -n -v
