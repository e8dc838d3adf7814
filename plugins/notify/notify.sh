# Settings arrive as PLUGIN_<NAME>, the stage's context as plain variables; exit 0 is SUCCESS.
set -eu

case $PLUGIN_FILE in
    '' | */* | .* | *[!A-Za-z0-9._-]*)
        echo "notify: file: a plain name is wanted, not '$PLUGIN_FILE'" >&2
        exit 1
        ;;
esac

cd "$WORKSPACE"
{
    printf '# %s\n\n' "$PLUGIN_MESSAGE"
    printf -- '- service: %s\n' "$SERVICE_NAME"
    printf -- '- run: %s\n' "$RUN_ID"
    printf -- '- commit: %s\n' "${COMMIT_HASH:-unknown}"
    printf -- '- for: %s\n' "${PLUGIN_RECIPIENTS:-[]}"
} >"$PLUGIN_FILE"
cat "$PLUGIN_FILE"

# Outputs are one flat JSON object of strings; later stages find this one as OUTPUT_SUMMARY.
printf '{"summary": "%s"}\n' "$PLUGIN_FILE" >"$STAGE_OUTPUTS"
