//! How the program is run: its argument, environment, descriptors, process group, and how many at once.

#[cfg(target_os = "linux")]
use super::script::soon;
use super::script::{LONG, Script, pool};
use crate::support::alone;
use greytrapper::checker::{Verdict, Why};
use std::collections::HashSet;
#[cfg(target_os = "linux")]
use std::fs::{read_dir, read_link, read_to_string};
#[cfg(target_os = "linux")]
use std::path::PathBuf;

#[test]
fn the_address_is_one_argument_and_meets_no_shell() {
    let script = Script::new("printf '%s\\n' $# \"$1\" >$d/arguments");
    for address in [
        "user@example.org",
        "$(touch x)@example.org",
        "`touch x`; touch x & touch x | \"' * ~ $HOME \\ > x <x>@example.org",
        "  a  b  ",
        "j\u{f6}rg@b\u{fc}cher.example",
    ] {
        assert_eq!(script.ask(address.as_bytes()), Verdict::Good);
        assert_eq!(script.wrote("arguments"), format!("1\n{address}\n"));
    }
    assert_eq!(script.ask(b"\xff@example.org"), Verdict::Good);
    assert_eq!(std::fs::read(script.path("arguments")).unwrap(), b"1\n\xff@example.org\n");
}

#[test]
fn what_is_no_address_does_not_reach_the_program() {
    let script = Script::new("touch $d/ran");
    for address in [&b""[..], b"-rf", b"--help", b"a\0b", b"a\nb@example.org", &[b'a'; 1025]] {
        assert_eq!(script.ask(address), Verdict::Unknown(Why::Address));
        assert!(!script.path("ran").exists());
    }
    assert_eq!(script.ask(&[b'a'; 1024]), Verdict::Good);
    assert!(script.path("ran").exists());
}

#[test]
fn the_environment_is_a_path_and_nothing_else() {
    assert!(std::env::vars_os().count() > 1, "nothing here to be kept from the program");
    let script = Script::new("env >$d/env");
    assert_eq!(script.ask(b"user@example.org"), Verdict::Good);
    let env = script.wrote("env");
    // These the shell makes.
    let shell = ["PWD=", "OLDPWD=", "SHLVL=", "_="];
    let passed = env.lines().filter(|line| !shell.iter().any(|name| line.starts_with(name)));
    let path = "PATH=/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin";
    assert_eq!(passed.collect::<Vec<_>>(), [path]);
}

#[test]
fn the_program_leads_a_process_group_of_its_own() {
    let script = Script::new("ps -o pgid= -p $$ >$d/group; echo $$ >$d/pid");
    assert_eq!(script.ask(b"user@example.org"), Verdict::Good);
    assert_eq!(script.wrote("group").trim(), script.wrote("pid").trim());
}

#[test]
fn the_program_stands_where_its_caller_stands() {
    if !alone::is_alone() {
        alone::run(
            "checker::manners::the_program_stands_where_its_caller_stands",
            &[],
            |command| {
                command.current_dir("/");
            },
        );
        return;
    }
    let script = Script::new("pwd -P >$d/pwd");
    assert_eq!(script.ask(b"user@example.org"), Verdict::Good);
    assert_eq!(script.wrote("pwd"), "/\n");
}

/// The numbers of our descriptors that a program would inherit: those we were started with.
#[cfg(target_os = "linux")]
fn inherited() -> HashSet<String> {
    const CLOEXEC: u32 = 0o2000000;
    let entries = read_dir("/proc/self/fdinfo").unwrap();
    let is_inherited = |text: String| {
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        u32::from_str_radix(flags.unwrap().trim(), 8).unwrap() & CLOEXEC == 0
    };
    entries
        .map(|entry| entry.unwrap())
        .filter(|entry| read_to_string(entry.path()).is_ok_and(is_inherited))
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

#[test]
#[cfg(target_os = "linux")]
fn the_program_has_dev_null_and_no_other_descriptor() {
    let inherited = inherited();
    let _ours = (
        std::fs::File::open("/etc/passwd").unwrap(),
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap(),
        std::os::unix::net::UnixStream::pair().unwrap(),
        std::io::pipe().unwrap(),
    );
    // Once the shell is gone, with what it had open itself, there is left what the program was given.
    let script = Script::new("echo $$ >$d/pid\nexec sleep 300");
    let (pool, _verdicts) = pool(&script.program(), LONG);
    pool.submit(1, b"user@example.org");
    let pid = script.wait_for("pid", 1);
    let process = PathBuf::from("/proc").join(pid.trim());
    assert!(soon(|| read_to_string(process.join("comm")).is_ok_and(|name| name == "sleep\n")));
    let mut given: Vec<_> = read_dir(process.join("fd"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), read_link(entry.path()).unwrap()))
        .filter(|(number, _)| {
            number.len() == 1 && "012".contains(number) || !inherited.contains(number)
        })
        .collect();
    given.sort();
    let null = |number: &str| (number.to_owned(), PathBuf::from("/dev/null"));
    assert_eq!(given, ["0", "1", "2"].map(null));
}

/// Runs itself once more, with something to read that is not meant for the program.
#[test]
fn the_callers_standard_streams_are_not_the_programs() {
    let script = Script::new("cat >$d/input && echo noise && echo noise >&2");
    if alone::is_alone() {
        assert_eq!(script.ask(b"user@example.org"), Verdict::Good);
        assert!(script.path("input").exists());
        assert_eq!(script.wrote("input"), "");
        return;
    }
    std::fs::write(script.path("secret"), "not for the program").unwrap();
    let test = "checker::manners::the_callers_standard_streams_are_not_the_programs";
    let secret = std::fs::File::open(script.path("secret")).unwrap();
    let text = alone::run(test, &[], |command| {
        command.stdin(secret);
    });
    assert!(!text.contains("noise"), "{text}");
}

#[test]
fn each_of_many_is_asked_once_and_four_at_a_time() {
    let script = Script::new(
        "echo \"$1\" >>$d/asked\nmkdir $d/run.$$\nset -- $d/run.*\necho $# >>$d/running\n\
         sleep 0.02\nrmdir $d/run.$$",
    );
    let (pool, verdicts) = pool(&script.program(), LONG);
    let address = |ticket: u64| format!("user{ticket}@example.org");
    (0..200).for_each(|ticket| pool.submit(ticket, address(ticket).as_bytes()));
    let answered: Vec<_> = verdicts.iter().take(200).collect();
    assert!(answered.iter().all(|(_, verdict)| *verdict == Verdict::Good));
    let tickets: HashSet<_> = answered.iter().map(|(ticket, _)| *ticket).collect();
    assert_eq!(tickets, (0..200).collect());

    let log = script.wrote("asked");
    let mut asked: Vec<_> = log.lines().map(str::to_owned).collect();
    let mut expected: Vec<_> = (0..200).map(address).collect();
    asked.sort();
    expected.sort();
    assert_eq!(asked, expected);
    let running = script.wrote("running");
    let most = running.lines().map(|n| n.parse::<usize>().unwrap()).max();
    assert_eq!(most, Some(4));
}
