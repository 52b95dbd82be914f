# shellcheck shell=bash
# What the shells complete with the files of the package that is installed in $DIR. They get the line as $1, and what
# they make of its last word they print, one a line.

completes() { # SHELL LINE WORD: the word is among those that come of the line
    local words
    printf '%s: %s\n' "$1" "$2"
    words=$(XDG_DATA_DIRS=$DIR/usr/share:/usr/share "with_$1" "$2" 2>&1)
    printf '%s\n' "$words"
    grep -qxF -e "$3" <<<"$words" || fail "$1 does not make $3 of '$2'"
}

# The signs are for the shell that is tried.
# shellcheck disable=SC2016
with_bash() {
    timeout -k 5 "$LIMIT" bash --norc -c '
        . /usr/share/bash-completion/bash_completion
        read -ra COMP_WORDS <<<"$1"
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$1 COMP_POINT=${#1}
        _completion_loader connect
        read -r _ function _ < <(complete -p connect | grep -o -- "-F .*")
        "${function:?}" connect "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$1"
}

# In a terminal of its own: the keys are the line, tab, and one that prints what has become of it.
# shellcheck disable=SC2016
with_zsh() {
    timeout -k 5 "$LIMIT" zsh -f -c '
        zmodload zsh/zpty
        zpty shell "TERM=dumb zsh -f -i"
        zpty -w shell "fpath=(${(q)2} \$fpath); autoload -Uz compinit; compinit -u -D"
        zpty -w shell "tell() { print -r -- \$BUFFER >${(q)3}; exit }; zle -N tell; bindkey \"^X\" tell; print re\"\"ady"
        zpty -r -m shell said "*ready*"
        zpty -w -n shell "$1"$'"'\\t\\x18'"'
        while zpty -t shell; do zpty -r shell said; done
        line=(${(z)"$(<$3)"})
        print -r -- ${line[-1]%=}' zsh "$1" "$DIR/usr/share/zsh/vendor-completions" "$CASE/line"
}

# shellcheck disable=SC2016
with_fish() {
    timeout -k 5 "$LIMIT" fish --command 'complete --do-complete $argv[1]' -- "$1" | cut -f 1
}
