# Completion of greytrapper(8) in fish(1).

complete -c greytrapper -f
complete -c greytrapper -s D -x -d 'define a macro'
complete -c greytrapper -s V -d 'print the version'
complete -c greytrapper -s d -d 'do not become a daemon'
complete -c greytrapper -s f -r -F -d 'configuration'
complete -c greytrapper -s h -d 'print the usage'
complete -c greytrapper -s n -d 'only check the configuration'
complete -c greytrapper -s v -d 'be verbose'
