//! The command line of greytrapctl(8). In: arguments. Out: checked [`Options`], or a [`UsageError`].
//!
//! There are two steps, each with its own type: `Typed` (in its own file) is what was typed, [`Options`]
//! what it means. Addresses and domains are not checked here: a wrong one is a failure, not incorrect
//! usage.
#![forbid(unsafe_code)]

pub use super::export_options::{Export, Source, Whose};
use super::typed::Typed;
use super::usage::UsageError;
use crate::control::protocol;
use crate::spamd::trap::Over;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A command and how to answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Text or JSON.
    pub format: Format,
    /// Whether to print more.
    pub verbose: bool,
    /// The command.
    pub command: Command,
}

/// The form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people and awk(1).
    Text,
    /// One JSON object per line.
    Json,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Print every record of a file.
    List(PathBuf),
    /// Walk the structure of a file.
    Check(Check),
    /// Print the settings of a Perl script.
    Convert(PathBuf),
    /// Judge the hosts of a file.
    Simulate(Simulate),
    /// Judge the past again.
    Replay(Replay),
    /// Ask DNS about sender domains.
    Lookup(Lookup),
    /// Ask DNS about a host and a sender.
    Spf(Spf),
    /// Set or remove traps in a file.
    Change(Change),
    /// Make recipients spamtraps in a file, at a time.
    Adopt(PathBuf, Clock, Adopt),
    /// Write the hosts in the trap in a form for another program.
    Export(Export),
    /// `check -r`: repair a file with pages of zeros.
    Repair(PathBuf),
    /// Ask the daemon.
    Daemon {
        /// Where it listens.
        socket: PathBuf,
        /// The request.
        request: Request,
    },
}

/// `check`: whether a file is sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The database.
    pub file: PathBuf,
    /// Whose code reads it.
    pub readers: Readers,
}

/// Whose code reads a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Ours.
    Ours,
    /// Ours and libc's, for comparison.
    OursAndLibcs,
}

/// `simulate`: one scan of a file, nothing written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulate {
    /// The configuration to judge by; `None` means the defaults.
    pub conf: Option<PathBuf>,
    /// The time of the scan.
    pub clock: Clock,
    /// What earlier scans have left, and this one is to leave.
    pub memory: Option<PathBuf>,
    /// The database.
    pub file: PathBuf,
}

/// `simulate -s`: the scans of the past judged again, as the daemon remembers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Where the daemon listens.
    pub socket: PathBuf,
    /// How far back.
    pub since: Duration,
    /// The configuration to judge by; `None` means the default one.
    pub conf: Option<PathBuf>,
    /// The configuration to compare with.
    pub old: Option<PathBuf>,
}

/// `lookup`: looks up sender domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The configuration with the name servers; `None` means the defaults.
    pub conf: Option<PathBuf>,
    /// The domains as typed; none means the standard input.
    pub domains: Vec<OsString>,
}

/// `spf`: what SPF says about a host and a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spf {
    /// The configuration with the name servers; `None` means the defaults.
    pub conf: Option<PathBuf>,
    /// The host's address as typed.
    pub address: OsString,
    /// Its HELO name.
    pub helo: OsString,
    /// The sender.
    pub sender: OsString,
}

/// `trap` and `release` on a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The database.
    pub file: PathBuf,
    /// The time of the change.
    pub clock: Clock,
    /// Which change.
    pub action: Action,
    /// The addresses as typed; at least one.
    pub addresses: Vec<OsString>,
}

/// `adopt`: recipients become spamtraps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopt {
    /// The recipients as typed; at least one.
    pub recipients: Vec<OsString>,
    /// Also those that a host that passed wrote to, or that `pass rcpt` matches.
    pub is_forced: bool,
}

/// What is done to each address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Trap it.
    Trap(Over),
    /// End its trap.
    Release,
}

/// A request to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// What it knows.
    Show(Topic),
    /// Replace a file by what it counts, in OpenMetrics form.
    WriteMetrics(PathBuf),
    /// Why a host was trapped or not; the address as typed.
    Explain(OsString),
    /// What became of hosts.
    History(History),
    /// Report every verdict as it is made, and those of so long before.
    Monitor(Option<Duration>),
    /// A summary.
    Report(Report),
    /// Trap or release hosts.
    Change(Order),
    /// Recipients that could be spamtraps.
    Suggest,
    /// Make recipients spamtraps.
    Adopt(Adopt),
    /// Release what the daemon has trapped.
    ReleaseOurs(Ours),
    /// Do something that has no answer but that it is done.
    Order(protocol::Request),
}

/// `history`: what became of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// How far back.
    pub since: Option<Duration>,
    /// Only what this rule did; as typed.
    pub rule: Option<OsString>,
    /// Only hosts in these networks; as typed.
    pub hosts: Vec<OsString>,
}

/// `report`: a summary of what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How far back.
    pub since: Option<Duration>,
    /// The file for a page in HTML, if one is wanted.
    pub page: Option<PathBuf>,
}

/// `trap` and `release` with the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which change.
    pub action: Action,
    /// The addresses or networks as typed; at least one.
    pub hosts: Vec<OsString>,
    /// How long the trap lasts, or the release holds.
    pub time: Option<Duration>,
    /// Why; as typed.
    pub because: Option<OsString>,
}

/// `release -a` and `release -r`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// Only what this rule has trapped; as typed.
    pub rule: Option<OsString>,
    /// How far back.
    pub since: Option<Duration>,
    /// How long the release holds.
    pub time: Option<Duration>,
}

/// What `show` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The daemon's state.
    State,
    /// Hosts trapped.
    Traps,
    /// Hosts waiting.
    Hosts,
    /// Hosts released, and exceptions.
    Holds,
    /// Counters, in OpenMetrics form.
    Metrics,
    /// Rules, and how often they were wrong.
    Rules,
}

/// The source of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The system's clock.
    System,
    /// Always this time, in seconds since 1970.
    At(i64),
}

impl Clock {
    /// Seconds since 1970.
    pub fn now(self) -> i64 {
        match self {
            Clock::At(time) => time,
            Clock::System => SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs().try_into().unwrap_or(i64::MAX)),
        }
    }
}

impl Options {
    /// Reads a command line; the program's name is not among `arguments`.
    pub fn parse(
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Options, UsageError> {
        Typed::read(lexopt::Parser::from_args(arguments))?.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT_SOCKET;
    use crate::greytrapctl::usage::USAGE;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace()).map_err(|error| error.to_string())
    }

    fn command(line: &str) -> Command {
        parse(line).unwrap().command
    }

    fn daemon(request: Request) -> Command {
        Command::Daemon { socket: DEFAULT_SOCKET.into(), request }
    }

    fn addresses() -> Vec<OsString> {
        vec!["192.0.2.1".into(), "::1".into()]
    }

    #[test]
    fn commands_on_files() {
        assert_eq!(command("list x"), Command::List("x".into()));
        let file = PathBuf::from("x");
        for (line, readers) in [
            ("check x", Readers::Ours),
            ("check -x x", Readers::OursAndLibcs),
            ("-j ch x -x", Readers::OursAndLibcs),
        ] {
            assert_eq!(command(line), Command::Check(Check { file: file.clone(), readers }));
        }
        assert_eq!(command("check -r x"), Command::Repair(file.clone()));
        let simulate =
            Simulate { conf: None, clock: Clock::System, memory: None, file: file.clone() };
        assert_eq!(command("simulate x"), Command::Simulate(simulate.clone()));
        let simulate =
            Simulate { conf: Some("c".into()), clock: Clock::At(1_795_420_010), ..simulate };
        for line in ["sim -f c -t 1795420010 x", "-t1795420010 simulate x -fc"] {
            assert_eq!(command(line), Command::Simulate(simulate.clone()));
        }
        let memory = Some("m".into());
        assert_eq!(
            command("simulate -M m -f c -t 1795420010 x"),
            Command::Simulate(Simulate { memory, ..simulate })
        );
        let replay = Replay {
            socket: "/s".into(),
            since: hours(336),
            conf: Some("n".into()),
            old: Some("o".into()),
        };
        assert_eq!(command("-s /s simulate -s 14d -c o -f n"), Command::Replay(replay));
        let action = Action::Trap(Over::Trap);
        let change = Change { file, clock: Clock::At(5), action, addresses: addresses() };
        let trap = Command::Change(change.clone());
        assert_eq!(command("-F x -t 5 trap 192.0.2.1 ::1"), trap);
        let release = Change { action: Action::Release, ..change.clone() };
        assert_eq!(command("-Fx -t5 release 192.0.2.1 ::1"), Command::Change(release));
        let recipients = vec!["a@b".into()];
        let adopt = Adopt { recipients, is_forced: true };
        let adopt = Command::Adopt("x".into(), Clock::At(5), adopt);
        assert_eq!(command("-Fx -t5 adopt -f a@b"), adopt);
        let forced = Change { action: Action::Trap(Over::White), ..change };
        assert_eq!(command("-Fx -t5 trap -f 192.0.2.1 ::1"), Command::Change(forced));
    }

    fn history(hours: Option<u64>, rule: Option<&str>) -> Request {
        let since = hours.map(|hours| Duration::from_secs(hours * 3600));
        Request::History(History { since, rule: rule.map(Into::into), hosts: Vec::new() })
    }

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3600)
    }

    fn change(action: Action, time: Option<u64>, because: Option<&str>) -> Request {
        let (time, because) = (time.map(hours), because.map(Into::into));
        Request::Change(Order { action, hosts: addresses(), time, because })
    }

    fn adopt(is_forced: bool) -> Request {
        Request::Adopt(Adopt { recipients: vec!["a@b".into(), "c@d".into()], is_forced })
    }

    fn ours(rule: Option<&str>, since: Option<u64>, time: Option<u64>) -> Request {
        let (since, time) = (since.map(hours), time.map(hours));
        Request::ReleaseOurs(Ours { rule: rule.map(Into::into), since, time })
    }

    #[test]
    fn commands_for_the_daemon() {
        let order = Request::Order;
        let log = |verbosity| order(protocol::Request::Log(verbosity));
        let rows = [
            ("show", Request::Show(Topic::State)),
            ("show traps", Request::Show(Topic::Traps)),
            ("show hosts", Request::Show(Topic::Hosts)),
            ("sh m", Request::Show(Topic::Metrics)),
            ("show metrics -o x", Request::WriteMetrics("x".into())),
            ("explain ::1", Request::Explain("::1".into())),
            ("history", history(None, None)),
            ("hi -s 36h", history(Some(36), None)),
            ("history -r helo -s1d", history(Some(24), Some("helo"))),
            ("scan", order(protocol::Request::Scan)),
            ("reload", order(protocol::Request::Reload)),
            ("monitor", Request::Monitor(None)),
            ("monitor -s 2h", Request::Monitor(Some(hours(2)))),
            ("report", Request::Report(Report::default())),
            ("report -s 7d", Request::Report(Report { since: Some(hours(168)), page: None })),
            ("suggest", Request::Suggest),
            ("adopt a@b c@d", adopt(false)),
            ("ad -f a@b c@d", adopt(true)),
            ("report -H x", Request::Report(Report { since: None, page: Some("x".into()) })),
            ("trap 192.0.2.1 ::1", change(Action::Trap(Over::Trap), None, None)),
            ("release 192.0.2.1 ::1", change(Action::Release, None, None)),
            ("release 192.0.2.1 for 7d ::1", change(Action::Release, Some(168), None)),
            (
                "trap -f for 48h because reason 192.0.2.1 ::1",
                change(Action::Trap(Over::White), Some(48), Some("reason")),
            ),
            ("release -a", ours(None, None, None)),
            ("release -r helo -s 1h for 7d", ours(Some("helo"), Some(1), Some(168))),
            ("log verbose", log(protocol::Verbosity::Verbose)),
            ("log b", log(protocol::Verbosity::Brief)),
        ];
        for (line, request) in rows {
            assert_eq!(command(line), daemon(request), "{line}");
        }
        let socket = "/tmp/s".into();
        let elsewhere = Command::Daemon { socket, request: order(protocol::Request::Scan) };
        assert_eq!(command("-s /tmp/s scan"), elsewhere);
    }

    #[test]
    fn lookup_takes_any_number_of_domains() {
        let none = Lookup { conf: None, domains: Vec::new() };
        assert_eq!(command("lookup"), Command::Lookup(none));
        let two = Lookup { conf: Some("c".into()), domains: vec!["a.example".into(), "-b".into()] };
        assert_eq!(command("lookup -f c a.example -- -b"), Command::Lookup(two));
    }

    #[test]
    fn spf_takes_a_host_its_helo_and_a_sender() {
        let [address, helo, sender] = ["::1", "-h", "<>"].map(OsString::from);
        let spf = Spf { conf: Some("c".into()), address, helo, sender };
        assert_eq!(command("spf -f c ::1 -- -h <>"), Command::Spf(spf));
    }

    #[test]
    fn j_and_v_may_stand_anywhere() {
        for line in ["-jv list x", "list -j -v x", "-j list x -v"] {
            let options = parse(line).unwrap();
            assert_eq!((options.format, options.verbose), (Format::Json, true), "{line}");
        }
        let options = parse("list x").unwrap();
        assert_eq!((options.format, options.verbose), (Format::Text, false));
    }

    #[test]
    fn wrong_usage_is_named() {
        let rows = [
            ("", "no command"),
            ("-j", "no command"),
            ("frob", "unknown command \"frob\""),
            ("l x", "ambiguous command \"l\" (list, log, lookup)"),
            ("re", "ambiguous command \"re\" (release, reload, report)"),
            ("s", "ambiguous command \"s\" (scan, show, simulate, spf, suggest)"),
            ("show frob", "unknown topic \"frob\""),
            ("log", "log: expected verbose or brief"),
            ("log x", "unknown level \"x\""),
            ("list", "list: expected one file"),
            ("list a b", "list: expected one file"),
            ("check", "check: expected one file"),
            ("check -r", "check: expected one file"),
            ("check -r -x a", "check: expected -r or -x"),
            ("simulate x y", "simulate: expected one file at most"),
            ("explain", "explain: expected one address"),
            ("spf ::1 x", "spf: expected an address, a HELO name and a sender"),
            ("trap", "trap: expected an address"),
            ("adopt", "adopt: expected a recipient"),
            ("-F x adopt -f", "adopt: expected a recipient"),
            ("suggest x", "suggest: expected no more arguments"),
            ("suggest -f", "unknown option -f"),
            ("-F x suggest", "unknown option -F for suggest"),
            ("-t 5 adopt a@b", "unknown option -t for adopt"),
            ("-F x trap", "trap: expected an address"),
            ("-F x release", "release: expected an address"),
            ("scan now", "scan: expected no more arguments"),
            ("show traps now", "show: expected one topic at most"),
            ("show traps -o x", "show: expected metrics with -o"),
            ("show -o x", "show: expected metrics with -o"),
            ("report x", "report: expected no more arguments"),
            ("show -H x", "unknown option -H"),
            ("-x list y", "unknown option -x"),
            ("--help", "unknown option --help"),
            ("-f list y", "unknown option -f"),
            ("list -f y", "unknown option -f"),
            ("-F x release -f y", "unknown option -f"),
            ("-F x list y", "unknown option -F for list"),
            ("-s x list y", "unknown option -s for list"),
            ("-t 5 list y", "unknown option -t for list"),
            ("-t 5 trap ::1", "unknown option -t for trap"),
            ("-s x -F y trap ::1", "unknown option -s for trap"),
            ("list x -t", "option -t needs a value"),
            ("release -r helo 192.0.2.1", "release: expected no address with -a or -r"),
            ("release -s 1h 192.0.2.1", "unknown option -s for release"),
            ("release 192.0.2.1 for", "release: expected a duration after for"),
            ("trap 192.0.2.1 for ever", "for: not a duration: \"ever\""),
            ("trap 192.0.2.1 because", "trap: expected a reason after because"),
            ("release 192.0.2.1 because x", "release: expected no reason"),
            ("-F x trap for 2d 192.0.2.1", "trap: expected neither for nor because with -F"),
            ("-F x release -a", "unknown option -a for release"),
            ("simulate -c x y", "unknown option -c for simulate"),
            ("simulate -s 1h -M x", "unknown option -M for simulate"),
            ("simulate -s 1h x", "simulate: expected no more arguments"),
            ("simulate -s 1h -t 5", "unknown option -t for simulate"),
            ("history -s x", "-s: not a duration: \"x\""),
            ("history -s", "option -s needs a value"),
            ("-r helo history", "unknown option -r"),
            ("-t x simulate y", "-t: not seconds since 1970: \"x\""),
            ("-t -1 simulate y", "-t: not seconds since 1970: \"-1\""),
            (
                "-t 9223372036854775808 simulate y",
                "-t: not seconds since 1970: \"9223372036854775808\"",
            ),
            ("-j=x list y", "unknown option -j"),
        ];
        for (line, message) in rows {
            assert_eq!(parse(line).unwrap_err(), message, "{line}");
        }
    }

    #[test]
    fn arguments_that_are_no_text_are_taken_or_shown_escaped() {
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(b"\xff\x1b".to_vec());
        let options = Options::parse(["list".into(), odd.clone()]).unwrap();
        assert_eq!(options.command, Command::List(odd.clone().into()));
        let error = Options::parse([odd]).unwrap_err();
        assert_eq!(error.to_string(), "unknown command \"\\377\\033\"");
    }

    #[test]
    fn the_usage_lines_know_every_command_on_files() {
        for word in ["list", "check", "simulate", "lookup", "trap", "release"] {
            assert!(USAGE.contains(&format!(" {word} ")), "{word}");
        }
        assert!(USAGE.lines().all(|line| line.len() <= 78));
    }

    #[test]
    fn the_clock_stands_still_or_is_the_systems() {
        assert_eq!(Clock::At(5).now(), 5);
        assert!(Clock::System.now() > 1_700_000_000);
    }
}
