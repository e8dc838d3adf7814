set -eux
# Its faked owners live in System V message queues. It tries the real chown first, which says EINVAL for users that the
# sandbox does not have, where it knows EPERM alone: thus the variable in `service`.
fakeroot sh -c 'chown -R root:root package && dpkg-deb --build package app.deb'
dpkg-deb --contents app.deb | grep root/root
