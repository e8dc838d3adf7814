set -eux
cmake -G Ninja -S . -B out
cmake --build out
ctest --test-dir out --output-on-failure
DESTDIR=$PWD/dist cmake --install out
