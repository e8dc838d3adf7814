set -eux
npm install --offline --no-audit --no-fund
npm test
npm pack --silent
