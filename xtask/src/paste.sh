# Stands before the commands of a page. They mean the program and the port of the test, in an empty
# folder; whatever fails ends the script.
set -euo pipefail
server=

curl() {
    command curl --silent --show-error --fail-with-body "$@"
}

# `answers 401 curl …`: the command is refused in this way.
answers() {
    local status
    status=$(command curl --silent --output /dev/null --write-out '%{http_code}' "${@:3}")
    [ "$status" = "$1" ] || { echo "answered with $status, not $1" >&2; return 1; }
}

# `cargo run --release -- …`
cargo() {
    [ "$1 $2" = "run --release" ]
    shift 2
    [ "${1-}" != -- ] || shift
    cumulo "$@"
}

# Starts the service instead of the one that runs. Other commands use it, with profiles of their own.
cumulo() {
    case "${1-}" in
        '' | -* | start) ;;
        *) HOME=$PWD XDG_CONFIG_HOME= "$CUMULO" "$@"; return ;;
    esac
    stop
    "$CUMULO" "$@" --port "$PORT" >announcement 2>>log &
    server=$!
    until command curl --silent --output /dev/null "http://127.0.0.1:$PORT/v1/"; do
        kill -0 "$server"
        sleep 0.05
    done
}

stop() {
    [ -z "$server" ] || { kill "$server"; wait "$server" || true; }
    server=
}
trap stop EXIT

# What the reader pastes.
read() {
    local password
    password=$(sed -n 's/^Password: \([^ ]*\).*/\1/p' announcement)
    [ -n "$password" ]
    printf -v "${@: -1}" %s "$password"
}

set -x
