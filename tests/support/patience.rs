//! How long tests wait for what must come. With `PATIENCE=5` in the environment it is five times as long, for
//! a machine that is emulated, say.

use std::env;
use std::sync::LazyLock;
use std::time::Duration;

/// How long anything may take on a machine that has other work: much longer than it does.
pub fn patience() -> Duration {
    stretched(Duration::from_secs(20))
}

/// What is enough on an ordinary machine, for this one.
pub fn stretched(time: Duration) -> Duration {
    static FACTOR: LazyLock<u32> =
        LazyLock::new(|| env::var("PATIENCE").map_or(1, |text| text.parse().unwrap()));
    time * *FACTOR
}
