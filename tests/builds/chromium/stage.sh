set -eux
# As in any stage that is not root: with its own sandbox.
chromium --headless --disable-gpu --dump-dom "file://$PWD/page.html" >dom 2>errors || { cat errors; exit 1; }
grep 'made by script' dom
chromium --headless --disable-gpu --screenshot=page.png "file://$PWD/page.html" 2>errors || { cat errors; exit 1; }
test -s page.png
