# shellcheck shell=bash
# Checks for the completions in each shell, using the package files installed in $DIR. Each with_…
# function completes the last word of the command line $1 and prints the candidates one per line.

completes() { # SHELL LINE WORD: the word is among the candidates for the line
    local words
    printf '%s: %s\n' "$1" "$2"
    words=$(XDG_DATA_DIRS=$DIR/usr/share:/usr/share "with_$1" "$2" 2>&1)
    printf '%s\n' "$words"
    grep -qxF -e "$3" <<<"$words" || fail "$1 does not complete '$2' to $3"
}

# The shell under test, not this one, expands the quoted text.
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

# zsh completes only on a terminal. We type the line, Tab, and Ctrl-X, which is bound to a function
# that writes the completed line to a file.
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
