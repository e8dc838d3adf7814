# Fish completion for stagectl. It asks the completion for bash, which asks stagectl: the rules are in one place.
set -g __stagectl_rules (status dirname)/../../bash-completion/completions/stagectl

function __stagectl_complete
    # Of `--status=aw` bash completes what follows the `=`, fish the whole word.
    set -l option (string match -r -- '^--.*=' (commandline -ct))
    for word in (bash -c '
        . "$1" || exit
        COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=("$3")
        _stagectl
        printf "%s\n" "${COMPREPLY[@]}"' bash $__stagectl_rules (commandline -cp | string collect) (commandline -opc)[1] 2>/dev/null)
        test -z "$word"; or echo "$option$word"
    end
end

complete -c stagectl -f -k -a '(__stagectl_complete)'
