if [ "$PLUGIN_WHO" = nobody ]; then
    echo "greet: nobody is there" >&2
    exit 1
fi
echo "Hello $PLUGIN_WHO, this is $SERVICE_NAME"
echo '{"greeted": "yes"}' >"$STAGE_OUTPUTS"
