//! What the end of a program means: exit statuses, signals, timeouts, and programs that cannot be run.

use super::script::{LONG, Script, ask, is_alive, pool, soon};
use crate::support::patience::stretched;
use greytrapper::checker::{Verdict, Why};
use nix::errno::Errno;
use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(300);

fn system(errno: Errno) -> Verdict {
    Verdict::Unknown(Why::System(errno as i32))
}

#[test]
fn exit_status_zero_is_good_and_others_bad() {
    let bad = [1, 2, 63, 79, 100, 110, 112, 125].map(|status| (status, Verdict::Bad));
    for (status, verdict) in std::iter::once((0, Verdict::Good)).chain(bad) {
        let script = Script::new(&format!("exit {status}"));
        assert_eq!(script.ask(b"user@example.org"), verdict, "{status}");
    }
}

/// A script whose ldapsearch was gone after an upgrade, and one whose directory was busy.
#[test]
fn a_program_that_could_not_find_out_says_nothing() {
    for status in [64, 67, 69, 75, 78, 111, 126, 127, 129, 137, 143, 255] {
        let script = Script::new(&format!("exit {status}"));
        let verdict = script.ask(b"user@example.org");
        assert_eq!(verdict, Verdict::Unknown(Why::Status(status)), "{status}");
    }
    let missing = Script::new("ldapsearch_that_is_gone \"$1\"").ask(b"user@example.org");
    assert_eq!(missing, Verdict::Unknown(Why::Status(127)));
    let killed = Script::new("kill -9 $$").ask(b"user@example.org");
    assert_eq!(killed, Verdict::Unknown(Why::Signal(9)));
}

#[test]
fn the_verdict_is_that_of_the_address() {
    let script = Script::new("case $1 in *@example.org) exit 0;; esac; exit 1");
    let (pool, verdicts) = pool(&script.program(), LONG);
    let addresses = ["a@example.org", "b@example.net", "-c@example.org", "d@example.org"];
    for (ticket, address) in (0..).zip(addresses) {
        pool.submit(ticket, address.as_bytes());
    }
    let verdicts: HashMap<_, _> = verdicts.iter().take(4).collect();
    let unfit = Verdict::Unknown(Why::Address);
    let expected = [Verdict::Good, Verdict::Bad, unfit, Verdict::Good];
    assert_eq!(verdicts, (0..).zip(expected).collect());
}

#[test]
fn a_signal_is_no_verdict() {
    for (name, number) in [("KILL", 9), ("TERM", 15), ("SEGV", 11)] {
        let script = Script::new(&format!("kill -{name} $$"));
        assert_eq!(script.ask(b"user@example.org"), Verdict::Unknown(Why::Signal(number)));
    }
}

#[test]
fn a_timeout_is_no_verdict_and_kills_whatever_the_program_started() {
    let script = Script::new("sleep 300 & echo $! >>$d/pids\necho $$ >>$d/pids\nwait");
    let start = Instant::now();
    assert_eq!(script.ask_within(SHORT, b"user@example.org"), Verdict::Unknown(Why::Timeout));
    assert!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
    assert!(start.elapsed() < SHORT + stretched(Duration::from_secs(2)), "{:?}", start.elapsed());
    let pids = script.wrote("pids");
    assert_eq!(pids.lines().count(), 2);
    assert!(soon(|| !pids.lines().any(is_alive)), "{pids}");
}

#[test]
fn a_timeout_kills_what_will_not_end() {
    let script =
        Script::new("trap '' TERM HUP INT QUIT\necho $$ >$d/pid\nwhile :; do sleep 1; done");
    assert_eq!(script.ask_within(SHORT, b"user@example.org"), Verdict::Unknown(Why::Timeout));
    // No soon: the verdict was to wait until it is gone.
    assert!(!is_alive(script.wrote("pid").trim()));
}

#[test]
fn a_child_left_in_the_background_delays_nothing() {
    let script = Script::new("sleep 300 &\necho $! >$d/pid\nexit 1");
    let start = Instant::now();
    assert_eq!(script.ask(b"user@example.org"), Verdict::Bad);
    assert!(start.elapsed() < stretched(Duration::from_secs(5)), "{:?}", start.elapsed());
    let pid = script.wrote("pid").trim().to_owned();
    // It is the program's affair, as with the original, and lives.
    assert!(is_alive(&pid));
    std::process::Command::new("kill").arg(pid).status().unwrap();
}

#[test]
fn megabytes_of_output_are_nothing() {
    let script =
        Script::new("dd if=/dev/zero bs=65536 count=160\ndd if=/dev/zero bs=65536 count=160 >&2");
    assert_eq!(script.ask(b"user@example.org"), Verdict::Good);
}

#[test]
fn a_program_that_cannot_be_run_is_no_verdict() {
    let address = b"user@example.org";
    assert_eq!(ask(Path::new("/nonexistent/program"), LONG, address), system(Errno::ENOENT));
    assert_eq!(ask(Path::new("/etc/passwd/program"), LONG, address), system(Errno::ENOTDIR));
    assert_eq!(ask(Path::new("/"), LONG, address), system(Errno::EACCES));

    let script = Script::new("exit 0");
    fs::set_permissions(script.program(), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(script.ask(address), system(Errno::EACCES));

    let script = Script::raw(|_| "#!/nonexistent/shell\n".to_owned());
    assert_eq!(script.ask(address), system(Errno::ENOENT));
}

/// execvp(3) would give it to a shell on some systems.
#[test]
#[cfg(target_os = "linux")]
fn a_text_without_an_interpreter_is_not_given_to_a_shell() {
    let script = Script::raw(|directory| format!("touch {}/ran\n", directory.display()));
    assert_eq!(script.ask(b"user@example.org"), system(Errno::ENOEXEC));
    assert!(!script.path("ran").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_that_is_being_written_is_no_verdict() {
    let script = Script::new("exit 1");
    let writer = fs::File::options().append(true).open(script.program()).unwrap();
    assert_eq!(script.ask(b"user@example.org"), system(Errno::ETXTBSY));
    drop(writer);
    assert!(soon(|| script.ask(b"user@example.org") == Verdict::Bad));
}

#[test]
fn a_program_that_is_always_too_slow_is_given_up_until_all_is_done() {
    let script = Script::new("echo >>$d/runs\nexec sleep 300");
    let (pool, verdicts) = pool(&script.program(), Duration::from_millis(100));
    for _ in 0..2 {
        let start = Instant::now();
        (0..500).for_each(|ticket| pool.submit(ticket, b"user@example.org"));
        let mut count = HashMap::new();
        verdicts.iter().take(500).for_each(|(_, verdict)| *count.entry(verdict).or_insert(0) += 1);
        let timeouts = count.remove(&Verdict::Unknown(Why::Timeout)).unwrap();
        // Eight, and three more may have been under way.
        assert!((8..=11).contains(&timeouts), "{timeouts}");
        let given_up = Verdict::Unknown(Why::GivenUp);
        assert_eq!(count, HashMap::from([(given_up, 500 - timeouts)]));
        assert!(start.elapsed() < stretched(Duration::from_secs(5)), "{:?}", start.elapsed());
    }
}
