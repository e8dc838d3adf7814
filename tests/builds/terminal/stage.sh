set -eux
script -qec 'test -t 1 && echo a terminal' /dev/null
timeout 1 sleep 60 || test $? = 124
bash -c 'wait -n <(sleep 0.1); exec 3<>/dev/shm/x; cat <<<"here" >/dev/stderr'
nproc
ulimit -n
date
id
