# A package is installed, and works with no further step.
things() { inside find /etc /usr /lib /var/lib /run -xdev '(' -iname '*stage-agent*' -o -iname '*stagectl*' -o -iname '*stageagent*' ')' -not -path '/var/lib/dpkg/info/*' -not -path '/run/systemd/*' -not -path '/var/lib/systemd/*' | sort; }
before_install=$(things)
install_package() { inside apt-get -qq -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" </dev/null >>"$machine/apt" 2>&1; }
mode_of() { inside stat -c '%a %U:%G' "$1"; }

check "the package is installed" install_package "$old"
check "the agent runs without another step" eventually ready
check "also after the next boot" inside systemctl is-enabled -q stage-agent.service
check "the unit has nothing that systemd finds wrong" \
    test -z "$(inside systemd-analyze verify /lib/systemd/system/stage-agent.service 2>&1 || true)"
check "its exposure is 3.0 at most" \
    inside systemd-analyze security --threshold=30 --no-pager stage-agent.service >/dev/null
inside systemd-analyze security --no-pager stage-agent.service | tail -n 1
check "a first run succeeds" inside stagectl run hello --follow
check "nothing is wrong with the host" no_failure_in "$(inside stagectl --json doctor)"
check "only the agent reads secrets" test "$(mode_of /etc/stage-agent/secrets)" = "700 stage-agent:stage-agent"
check "nobody else reads services" test "$(mode_of /etc/stage-agent)" = "750 root:stage-agent"
check "the manual is there" inside man -w stage-agent stagectl
