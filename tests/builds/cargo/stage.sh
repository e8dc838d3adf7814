set -eux
cargo build --offline --release
cargo test --offline
