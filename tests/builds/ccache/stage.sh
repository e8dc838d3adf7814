set -eux
make -j2
./app
make -B
ccache -s
test "$(ccache --print-stats | awk '/^direct_cache_hit|^preprocessed_cache_hit/ {n += $2} END {print n}')" -ge 2
