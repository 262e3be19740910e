//! Stopping in the middle: at once, without leaving processes, and without further verdicts.

use super::script::{LONG, Script, is_alive, pool, soon};
use std::time::{Duration, Instant};

/// The four that run have written their own number and a child's.
fn started() -> Script {
    Script::new("trap '' TERM\nsleep 300 &\necho $! >>$d/pids\necho $$ >>$d/pids\nwait")
}

#[test]
fn stop_returns_soon_and_leaves_no_process() {
    let script = started();
    let (pool, verdicts) = pool(&script.program(), LONG);
    (0..200).for_each(|ticket| pool.submit(ticket, b"user@example.org"));
    let pids = script.wait_for("pids", 8);
    let start = Instant::now();
    pool.stop();
    let took = start.elapsed();
    assert!(took < Duration::from_millis(900), "{took:?}");
    assert!(soon(|| !pids.lines().any(is_alive)), "{pids}");
    assert_eq!(script.wrote("pids"), pids, "another one was started");
    pool.submit(200, b"user@example.org");
    pool.stop();
    drop(pool);
    assert!(verdicts.recv().is_err(), "a verdict after the end");
}

#[test]
fn dropping_the_pool_stops_it() {
    let script = started();
    let (pool, verdicts) = pool(&script.program(), LONG);
    pool.submit(1, b"user@example.org");
    let pids = script.wait_for("pids", 2);
    drop(pool);
    assert!(soon(|| !pids.lines().any(is_alive)), "{pids}");
    assert!(verdicts.recv().is_err());
}

#[test]
fn stopping_between_quick_programs_is_quick_too() {
    let script = Script::new("exit 0");
    for wait in [0, 1, 3, 7, 20] {
        let (pool, _verdicts) = pool(&script.program(), LONG);
        (0..200).for_each(|ticket| pool.submit(ticket, b"user@example.org"));
        std::thread::sleep(Duration::from_millis(wait));
        let start = Instant::now();
        pool.stop();
        assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    }
}
