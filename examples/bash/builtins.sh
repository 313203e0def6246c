# The commands that bash itself has, from its own help. Two commands run it:
#
#     silkmill run examples/bash
#     silkmill items last
#
# An item is a line of JSON on stdout: {"type": "INSERT_DATA", "payload": {…}}. Any other line is log.
set -euo pipefail

quoted() {  # $1 as a JSON string
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

mapfile -t names < <(compgen -b)
for index in "${!names[@]}"; do
    name=${names[index]}
    about=$(help -d "$name" | head -n 1)
    printf '{"type": "INSERT_DATA", "payload": {"builtin": %s, "about": %s}}\n' \
        "$(quoted "$name")" "$(quoted "${about#* - }")"
    printf '{"type": "STATUS", "payload": {"progress": %de-3}}\n' $(((index + 1) * 1000 / ${#names[@]}))
done
echo "read the help of ${#names[@]} builtins, with bash $BASH_VERSION" >&2
