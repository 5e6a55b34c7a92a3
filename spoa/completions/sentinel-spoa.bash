# bash completion for sentinel-spoa
_sentinel_spoa() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    case $previous in
    -f | --file | --haproxy | --password-file | --redis-password-file | -o | --output)
        COMPREPLY=($(compgen -f -- "$current"))
        return
        ;;
    --log-level)
        COMPREPLY=($(compgen -W "error warning info debug" -- "$current"))
        return
        ;;
    --listen | --sentinel | --service | --server | --http | --park | --for | --pid | --user | --through)
        return
        ;;
    esac
    COMPREPLY=($(compgen -W "init --user -o --output --force -f --file -t --test --dump-config -V --version -h --help --takeover --healthcheck --readycheck --listen --sentinel
        --service --server --http --password-file --redis-password-file --park --log-level status --json --watch explain reload --pid check --haproxy rehearse --through --yes haproxy-conf --spoe --for" -- "$current"))
}
complete -F _sentinel_spoa sentinel-spoa
