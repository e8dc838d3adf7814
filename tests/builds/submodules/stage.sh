set -eux
test "$(cat part/file)" = 'of the module'
git status --short
git describe --always --dirty
git log -1 --format=%an
git -C part rev-parse HEAD
echo more >>stage.sh
git -c user.name=Ada -c user.email=ada@example.org commit -qam second
git clean -fdx
