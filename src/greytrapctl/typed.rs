//! Sorts the arguments of greytrapctl(8) into options, command and operands (`Typed::read`), and turns them
//! into [`Options`] (`Typed::check`).
//!
//! Options for all commands (`-j`, `-v`) may be anywhere; `-f` and `-x` belong to the command before them.
//! An option that the command does not use is refused, so that nobody believes that it had an effect.
#![forbid(unsafe_code)]

use super::export_options;
use super::options::{
    Action, Adopt, Change, Check, Clock, Command, Export, Format, History, Lookup, Options, Order,
    Ours, Readers, Replay, Report, Request, Simulate, Source, Spf, Topic,
};
use super::usage::UsageError;
use super::words::{Words, choose};
use crate::config::{self, Config, DEFAULT_SOCKET};
use crate::control::protocol::{self, Verbosity};
use crate::escape::escaped;
use crate::spamd::trap::Over;
use lexopt::Arg::{Short, Value};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

/// The usage lines: every command.
pub const USAGE: &str = "\
usage: greytrapctl [-jv] [-s socket] show [holds | hosts | rules | traps]
       greytrapctl [-jv] [-s socket] show metrics [-o file]
       greytrapctl [-jv] [-s socket] explain address
       greytrapctl [-jv] [-s socket] history [-r rule] [-s time] [network ...]
       greytrapctl [-jv] [-s socket] monitor [-s time]
       greytrapctl [-jv] [-s socket] report [-H file] [-s time]
       greytrapctl [-jv] [-s socket] scan | reload
       greytrapctl [-jv] [-s socket] log brief | verbose
       greytrapctl [-jv] [-s socket] trap [-f] [for time] [because text]
                   network ...
       greytrapctl [-jv] [-s socket] release [for time] address ...
       greytrapctl [-jv] [-s socket] release -a | -r rule [-s time] [for time]
       greytrapctl [-jv] [-s socket] suggest
       greytrapctl [-jv] [-s socket] adopt [-f] recipient ...
       greytrapctl [-jv] [-s socket] export -f form [-a] [-c community]
                   [-e file] [-m time] [-n number] [-o file] [-r rule]
                   [-u url] [-x command]
       greytrapctl [-jv] -F file [-t epoch] export -f form ...
       greytrapctl [-jv] -F file [-t epoch] trap [-f] address ...
       greytrapctl [-jv] -F file [-t epoch] release address ...
       greytrapctl [-jv] -F file [-t epoch] adopt [-f] recipient ...
       greytrapctl [-jv] list file
       greytrapctl [-jv] check [-r | -x] file
       greytrapctl [-jv] simulate [-f conf] [-M memory] [-t epoch] [file]
       greytrapctl [-jv] [-s socket] simulate -s time [-c conf] [-f conf]
       greytrapctl [-jv] lookup [-f conf] [domain ...]
       greytrapctl [-jv] spf [-f conf] address helo sender
       greytrapctl [-jv] convert file
       greytrapctl -h | -V
";

/// The arguments, sorted but not interpreted.
#[derive(Debug, Default)]
pub struct Typed {
    json: bool,
    verbose: bool,
    force: bool,
    cross: bool,
    repair: bool,
    socket: Option<OsString>,
    file: Option<OsString>,
    time: Option<OsString>,
    conf: Option<OsString>,
    old: Option<OsString>,
    memory: Option<OsString>,
    since: Option<OsString>,
    rule: Option<OsString>,
    output: Option<OsString>,
    all: bool,
    export: export_options::Typed,
    verb: Option<Verb>,
    operands: Vec<OsString>,
}

impl Typed {
    /// Sorts the arguments.
    pub fn read(mut parser: lexopt::Parser) -> Result<Typed, UsageError> {
        let mut typed = Typed::default();
        while let Some(argument) = parser.next()? {
            match (argument, typed.verb) {
                (Short('h'), _) => return Err(UsageError::Help),
                (Short('V'), _) => return Err(UsageError::Version),
                (Short('j'), _) => typed.json = true,
                (Short('v'), _) => typed.verbose = true,
                (Short(letter), Some(Verb::Export)) if export_options::LETTERS.contains(letter) => {
                    typed.export.take(letter, &mut parser)?;
                }
                (
                    Short('s'),
                    Some(
                        Verb::Release
                        | Verb::Simulate
                        | Verb::Ask(Ask::History | Ask::Monitor | Ask::Report),
                    ),
                ) => typed.since = Some(parser.value()?),
                (Short('r'), Some(Verb::Release | Verb::Ask(Ask::History))) => {
                    typed.rule = Some(parser.value()?);
                }
                (Short('H'), Some(Verb::Ask(Ask::Report)))
                | (Short('o'), Some(Verb::Ask(Ask::Show))) => typed.output = Some(parser.value()?),
                (Short('a'), Some(Verb::Release)) => typed.all = true,
                (Short('s'), _) => typed.socket = Some(parser.value()?),
                (Short('F'), _) => typed.file = Some(parser.value()?),
                (Short('t'), _) => typed.time = Some(parser.value()?),
                (Short('x'), Some(Verb::Check)) => typed.cross = true,
                (Short('r'), Some(Verb::Check)) => typed.repair = true,
                (Short('f'), Some(Verb::Trap | Verb::Adopt)) => typed.force = true,
                (Short('f'), Some(Verb::Simulate | Verb::Lookup | Verb::Spf)) => {
                    typed.conf = Some(parser.value()?);
                }
                (Short('M'), Some(Verb::Simulate)) => typed.memory = Some(parser.value()?),
                (Short('c'), Some(Verb::Simulate)) => typed.old = Some(parser.value()?),
                (Value(word), None) => typed.verb = Some(choose("command", &word, VERBS)?),
                (Value(word), Some(_)) => typed.operands.push(word),
                (option, _) => return Err(option.unexpected().into()),
            }
        }
        Ok(typed)
    }

    /// What they mean.
    pub fn check(mut self) -> Result<Options, UsageError> {
        let verb = self.verb.ok_or(UsageError::NoCommand)?;
        let command = match verb {
            Verb::List => Command::List(self.one(verb, "one file")?.into()),
            Verb::Check if self.repair && self.cross => return Err(expected(verb, "-r or -x")),
            Verb::Check if self.repair => Command::Repair(self.one(verb, "one file")?.into()),
            Verb::Check => Command::Check(Check {
                readers: if self.cross { Readers::OursAndLibcs } else { Readers::Ours },
                file: self.one(verb, "one file")?.into(),
            }),
            Verb::Simulate if self.since.is_some() => self.replay(verb)?,
            Verb::Simulate => Command::Simulate(Simulate {
                conf: self.conf.take().map(PathBuf::from),
                clock: self.clock()?,
                memory: self.memory.take().map(PathBuf::from),
                file: match self.operands.is_empty() {
                    true => Config::default().database,
                    false => self.one(verb, "one file at most")?.into(),
                },
            }),
            Verb::Convert => Command::Convert(self.one(verb, "one file")?.into()),
            Verb::Lookup => Command::Lookup(Lookup {
                conf: self.conf.take().map(PathBuf::from),
                domains: std::mem::take(&mut self.operands),
            }),
            Verb::Export => Command::Export(self.export()?),
            Verb::Spf => Command::Spf(self.spf()?),
            Verb::Adopt => self.adopt(verb)?,
            Verb::Trap => self.change(verb, Action::Trap(self.over()))?,
            Verb::Release => self.change(verb, Action::Release)?,
            Verb::Ask(ask) => {
                let request = self.request(verb, ask)?;
                self.daemon(request)
            }
        };
        self.nothing_left(verb)?;
        let format = if self.json { Format::Json } else { Format::Text };
        Ok(Options { format, verbose: self.verbose, command })
    }

    fn spf(&mut self) -> Result<Spf, UsageError> {
        let operands = std::mem::take(&mut self.operands);
        let Ok([address, helo, sender]) = <[OsString; 3]>::try_from(operands) else {
            return Err(expected(Verb::Spf, "an address, a HELO name and a sender"));
        };
        Ok(Spf { conf: self.conf.take().map(PathBuf::from), address, helo, sender })
    }

    fn replay(&mut self, verb: Verb) -> Result<Command, UsageError> {
        let since = self.since()?.ok_or(expected(verb, "a time"))?;
        let socket = self.socket.take().unwrap_or_else(|| DEFAULT_SOCKET.into()).into();
        let conf = self.conf.take().map(PathBuf::from);
        let old = self.old.take().map(PathBuf::from);
        Ok(Command::Replay(Replay { socket, since, conf, old }))
    }

    fn change(&mut self, verb: Verb, action: Action) -> Result<Command, UsageError> {
        let (time, because) = self.take_words(verb)?;
        let hosts = std::mem::take(&mut self.operands);
        if action == Action::Release && because.is_some() {
            return Err(expected(verb, "no reason"));
        }
        if self.file.is_none() && (self.all || self.rule.is_some()) {
            if !hosts.is_empty() {
                return Err(expected(verb, "no address with -a or -r"));
            }
            self.all = false;
            let since = self.since()?;
            let ours = Ours { rule: self.rule.take(), since, time };
            return Ok(self.daemon(Request::ReleaseOurs(ours)));
        }
        if hosts.is_empty() && !self.all {
            return Err(expected(verb, "an address"));
        }
        let Some(file) = self.file.take().map(PathBuf::from) else {
            return Ok(self.daemon(Request::Change(Order { action, hosts, time, because })));
        };
        if time.is_some() || because.is_some() {
            return Err(expected(verb, "neither for nor because with -F"));
        }
        Ok(Command::Change(Change { file, clock: self.clock()?, action, addresses: hosts }))
    }

    fn adopt(&mut self, verb: Verb) -> Result<Command, UsageError> {
        let recipients = std::mem::take(&mut self.operands);
        if recipients.is_empty() {
            return Err(expected(verb, "a recipient"));
        }
        let adopt = Adopt { recipients, is_forced: self.force };
        match self.file.take() {
            Some(file) => Ok(Command::Adopt(file.into(), self.clock()?, adopt)),
            None => Ok(self.daemon(Request::Adopt(adopt))),
        }
    }

    /// Takes `for DURATION` and `because TEXT` out of the operands.
    fn take_words(
        &mut self,
        verb: Verb,
    ) -> Result<(Option<Duration>, Option<OsString>), UsageError> {
        let (mut time, mut because, mut others) = (None, None, Vec::new());
        let mut operands = std::mem::take(&mut self.operands).into_iter();
        while let Some(operand) = operands.next() {
            if operand == "for" && time.is_none() {
                let typed = operands.next();
                let typed = typed.ok_or(expected(verb, "a duration after for"))?;
                time = Some(duration("for", typed)?);
            } else if operand == "because" && because.is_none() {
                let text = operands.next();
                because = Some(text.ok_or(expected(verb, "a reason after because"))?);
            } else {
                others.push(operand);
            }
        }
        self.operands = others;
        Ok((time, because))
    }

    fn request(&mut self, verb: Verb, ask: Ask) -> Result<Request, UsageError> {
        Ok(match ask {
            Ask::Explain => Request::Explain(self.one(verb, "one address")?),
            Ask::History => Request::History(History {
                since: self.since()?,
                rule: self.rule.take(),
                hosts: std::mem::take(&mut self.operands),
            }),
            Ask::Log => {
                let level = self.one(verb, "verbose or brief")?;
                Request::Order(protocol::Request::Log(choose("level", &level, LEVELS)?))
            }
            Ask::Monitor => Request::Monitor(self.since()?),
            Ask::Report => {
                let page = self.output.take().map(PathBuf::from);
                Request::Report(Report { since: self.since()?, page })
            }
            Ask::Reload => Request::Order(protocol::Request::Reload),
            Ask::Scan => Request::Order(protocol::Request::Scan),
            Ask::Suggest => Request::Suggest,
            Ask::Show => {
                let topic = match self.operands.is_empty() {
                    true => Topic::State,
                    false => choose("topic", &self.one(verb, "one topic at most")?, TOPICS)?,
                };
                match (self.output.take(), topic) {
                    (None, _) => Request::Show(topic),
                    (Some(file), Topic::Metrics) => Request::WriteMetrics(file.into()),
                    (Some(_), _) => return Err(expected(verb, "metrics with -o")),
                }
            }
        })
    }

    fn daemon(&mut self, request: Request) -> Command {
        Command::Daemon { socket: self.socket(), request }
    }

    fn socket(&mut self) -> PathBuf {
        self.socket.take().unwrap_or_else(|| DEFAULT_SOCKET.into()).into()
    }

    fn export(&mut self) -> Result<Export, UsageError> {
        let source = match self.file.take() {
            Some(file) => Source::File(file.into(), self.clock()?),
            None => Source::Daemon(self.socket()),
        };
        std::mem::take(&mut self.export).check(source)
    }

    fn over(&self) -> Over {
        if self.force { Over::White } else { Over::Trap }
    }

    /// The only operand.
    fn one(&mut self, verb: Verb, what: &'static str) -> Result<OsString, UsageError> {
        match self.operands.pop() {
            Some(operand) if self.operands.is_empty() => Ok(operand),
            _ => Err(expected(verb, what)),
        }
    }

    fn since(&mut self) -> Result<Option<Duration>, UsageError> {
        self.since.take().map(|typed| duration("-s", typed)).transpose()
    }

    fn clock(&mut self) -> Result<Clock, UsageError> {
        let Some(typed) = self.time.take() else { return Ok(Clock::System) };
        match typed.to_str().and_then(|typed| typed.parse().ok()) {
            Some(time @ 0..) => Ok(Clock::At(time)),
            _ => Err(UsageError::NotATime(escaped(typed.as_bytes()).to_string())),
        }
    }

    /// Fails if an option or an operand was not used.
    fn nothing_left(&self, verb: Verb) -> Result<(), UsageError> {
        let all = self.all.then(OsString::new);
        let options = [
            ("-s", &self.socket),
            ("-s", &self.since),
            ("-F", &self.file),
            ("-t", &self.time),
            ("-r", &self.rule),
            ("-c", &self.old),
            ("-M", &self.memory),
            ("-a", &all),
        ];
        match options.into_iter().find(|(_, value)| value.is_some()) {
            Some((option, _)) => Err(UsageError::Option(format!("{option} for {}", verb.name()))),
            None if !self.operands.is_empty() => Err(expected(verb, "no more arguments")),
            None => Ok(()),
        }
    }
}

/// A duration that was typed after `word`.
pub(super) fn duration(word: &'static str, typed: OsString) -> Result<Duration, UsageError> {
    let wrong = || UsageError::NotADuration(word, escaped(typed.as_bytes()).to_string());
    typed.to_str().and_then(config::duration).ok_or_else(wrong)
}

fn expected(verb: Verb, expected: &'static str) -> UsageError {
    UsageError::Arguments { command: verb.name(), expected }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Adopt,
    Check,
    Convert,
    Export,
    List,
    Lookup,
    Release,
    Simulate,
    Spf,
    Trap,
    Ask(Ask),
}

/// The commands that only the daemon can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Explain,
    History,
    Log,
    Monitor,
    Reload,
    Report,
    Scan,
    Show,
    Suggest,
}

const VERBS: &Words<Verb> = &[
    ("adopt", Verb::Adopt),
    ("check", Verb::Check),
    ("convert", Verb::Convert),
    ("explain", Verb::Ask(Ask::Explain)),
    ("export", Verb::Export),
    ("history", Verb::Ask(Ask::History)),
    ("list", Verb::List),
    ("log", Verb::Ask(Ask::Log)),
    ("lookup", Verb::Lookup),
    ("monitor", Verb::Ask(Ask::Monitor)),
    ("release", Verb::Release),
    ("reload", Verb::Ask(Ask::Reload)),
    ("report", Verb::Ask(Ask::Report)),
    ("scan", Verb::Ask(Ask::Scan)),
    ("show", Verb::Ask(Ask::Show)),
    ("simulate", Verb::Simulate),
    ("spf", Verb::Spf),
    ("suggest", Verb::Ask(Ask::Suggest)),
    ("trap", Verb::Trap),
];

const TOPICS: &Words<Topic> = &[
    ("holds", Topic::Holds),
    ("hosts", Topic::Hosts),
    ("metrics", Topic::Metrics),
    ("rules", Topic::Rules),
    ("traps", Topic::Traps),
];

const LEVELS: &Words<Verbosity> = &[("brief", Verbosity::Brief), ("verbose", Verbosity::Verbose)];

impl Verb {
    fn name(self) -> &'static str {
        VERBS.iter().find(|(_, verb)| *verb == self).map_or("", |(name, _)| name)
    }
}
