//! The first process: starts the others, monitors and stops them.
//!
//! It has access to its own program, which it executes for each role, and to the control socket, which it
//! creates and removes, and to nothing else. It handles signals and the timer for scans. It does not read
//! the configuration: a [`Process::Reader`] does, and reports the result.
//!
//! The processes that work with one configuration are a [`Generation`]. A reload starts a complete new one;
//! the old one is ended only when all of the new one are ready, sandboxed and waiting, and any earlier
//! error leaves the old one running. The start is the same without an old one. If a child exits by itself,
//! the daemon exits.
#![forbid(unsafe_code)]

use super::generation::{Common, Generation, Member};
use super::messages::{Checked, FromParent, Renewal, Start, ToParent};
use super::now;
use super::roles::{Place, Process, Variant};
use super::slot::Slot;
use crate::control::socket;
use crate::errno::reason;
use crate::escape::escaped_path;
use crate::log;
use crate::process::channel::Broken;
use crate::process::image::shared;
use crate::process::sandbox::{self, Strength};
use crate::process::spawn::{Program, silence};
use mio::{Events, Poll, Token};
use nix::unistd::{Uid, chdir, setsid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The token for signals.
const SIGNALS: Token = Token(0);

/// Signals that the daemon handles; on some systems a terminal's control-T sends SIGINFO.
const HEEDED: &[i32] = &[
    SIGHUP,
    SIGINT,
    SIGTERM,
    SIGUSR1,
    #[cfg(any(target_os = "openbsd", target_os = "freebsd", target_os = "netbsd"))]
    signal_hook::consts::SIGINFO,
];

/// The pause between two renewals, since the process that asks for them may be compromised.
const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// How the daemon was called.
#[derive(Debug)]
pub struct Setup {
    /// The options that name the configuration, for its reader.
    pub arguments: Vec<OsString>,
    /// Stay in the foreground and log to standard error.
    pub foreground: bool,
    /// Log more than usual.
    pub verbose: bool,
    /// The channel to the process that waits until all are ready.
    pub waiting: Option<OwnedFd>,
}

/// The daemon failed; the reason has been logged.
#[derive(Debug)]
pub struct Failed;

/// Runs the daemon until a signal or a failure ends it.
pub fn run(setup: Setup) -> Result<(), Failed> {
    let mut parent = Parent::new(setup).map_err(|error| told(reason(&error)))?;
    let outcome = parent.work();
    parent.end();
    outcome
}

fn told(failure: impl std::fmt::Display) -> Failed {
    log::error(failure);
    Failed
}

struct Parent {
    setup: Setup,
    program: Program,
    poll: Poll,
    signals: Signals,
    /// The running generation.
    current: Option<Generation>,
    /// The generation that will follow it.
    next: Option<Next>,
    /// What all generations share, and the path of the control socket.
    common: Option<(Common, PathBuf)>,
    /// When the next scan is due.
    scan_at: Option<Instant>,
    /// When this process began, in seconds since 1970.
    since: i64,
    /// The same, by a clock that nobody sets.
    began: Instant,
    /// Whether a reload was requested during another one, which may have read the old configuration.
    reloads_again: bool,
    /// When the last renewal began.
    renewed_at: Option<Instant>,
    has_ended: bool,
}

/// The state of the next generation.
enum Next {
    /// Its configuration is being read.
    Reading(Member),
    /// Its processes are starting.
    Starting(Generation),
}

impl Parent {
    fn new(setup: Setup) -> io::Result<Parent> {
        let program = Program::this()?;
        let poll = Poll::new()?;
        let mut signals = Signals::new(HEEDED)?;
        poll.registry().register(&mut signals, SIGNALS, mio::Interest::READABLE)?;
        if setup.waiting.is_some() {
            // Signals from the terminal are not for the daemon.
            setsid()?;
            log::open_syslog();
        }
        // All processes inherit this working directory: none has a promise that covers chdir(2).
        chdir("/")?;
        log::set_verbose(setup.verbose);
        Ok(Parent {
            setup,
            program,
            poll,
            signals,
            current: None,
            next: None,
            common: None,
            scan_at: None,
            since: now(),
            began: Instant::now(),
            reloads_again: false,
            renewed_at: None,
            has_ended: false,
        })
    }

    fn work(&mut self) -> Result<(), Failed> {
        self.read_config().map_err(|error| told(reason(&error)))?;
        let mut events = Events::with_capacity(64);
        while !self.has_ended {
            let timeout = self.scan_at.map(|at| at.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(told(reason(&error)));
                }
                _ => {}
            }
            let tokens: Vec<Token> = events.iter().map(mio::event::Event::token).collect();
            for token in tokens {
                match token {
                    SIGNALS => self.heed_signals(),
                    member => self.hear(member)?,
                }
            }
            self.keep_time();
            if self.reloads_again && self.next.is_none() {
                self.reload();
            }
        }
        Ok(())
    }

    fn heed_signals(&mut self) {
        let signals: Vec<i32> = self.signals.pending().collect();
        for signal in signals {
            match signal {
                SIGTERM | SIGINT => {
                    log::info("terminating");
                    self.has_ended = true;
                }
                SIGHUP if self.is_reloading() => self.reloads_again = true,
                SIGHUP => self.reload(),
                _ => self.tell_engine(&FromParent::Summary),
            }
        }
    }

    /// Starts a scan if it is time for one.
    fn keep_time(&mut self) {
        let (Some(at), Some(every)) = (self.scan_at, self.scan_every()) else { return };
        let now = Instant::now();
        if now < at {
            return;
        }
        // After a long sleep of the machine one scan is enough.
        let next = [at + every, now + every].into_iter().find(|next| *next > now);
        self.scan_at = next;
        self.tell_engine(&FromParent::Scan(next.map_or(every, |next| next - now)));
    }

    fn scan_every(&self) -> Option<Duration> {
        self.current.as_ref().map(|generation| generation.checked.scan_every)
    }

    fn tell_engine(&mut self, message: &FromParent) {
        self.tell(Process::Engine, message);
    }

    fn tell(&mut self, process: Process, message: &FromParent) {
        if let Some(member) = self.current.as_mut().and_then(|all| all.member(process)) {
            // If this fails, the end of the process shows it.
            let _ = member.channel.send(message);
        }
    }

    /// Whether a new configuration is coming, as opposed to a renewal.
    fn is_reloading(&self) -> bool {
        match &self.next {
            None => false,
            Some(Next::Reading(_)) => true,
            Some(Next::Starting(next)) => next.renewal.is_none(),
        }
    }

    /// Handles all messages from a child.
    fn hear(&mut self, token: Token) -> Result<(), Failed> {
        while let Some(member) = self.member(token) {
            let heard = member.channel.flush().and_then(|()| member.channel.receive());
            match heard {
                Ok(None) => break,
                Ok(Some(message)) => self.understand(token, message)?,
                Err(broken) => return self.lose(token, &broken),
            }
        }
        Ok(())
    }

    fn member(&mut self, token: Token) -> Option<&mut Member> {
        let current = self.current.as_mut().map(Generation::members);
        let next = match &mut self.next {
            Some(Next::Reading(reader)) if reader.token == token => return Some(reader),
            Some(Next::Starting(generation)) => Some(generation.members()),
            _ => None,
        };
        current.into_iter().chain(next).flatten().find(|member| member.token == token)
    }

    fn understand(&mut self, token: Token, message: ToParent) -> Result<(), Failed> {
        if let Some(process) = self.member(token).map(|member| member.process)
            && !message.may_come_from(process)
        {
            let failure = format!("{}: sent a message that it must not send", process.name());
            return self.do_without(token, &failure);
        }
        match message {
            ToParent::Ready => {
                if let Some(member) = self.member(token) {
                    member.is_ready = true;
                }
                self.replace_if_ready()
            }
            ToParent::Failed(failure) => {
                if let Some(member) = self.member(token) {
                    member.failure = Some(failure);
                }
                Ok(())
            }
            ToParent::Config(read) => self.start_next(read),
            ToParent::Log(severity, line) => {
                log::write_kept(severity, &line);
                Ok(())
            }
            ToParent::Renew(renewal) => {
                if let Some(process) = self.member(token).map(|member| member.process) {
                    self.renew(renewal, process);
                }
                Ok(())
            }
            // It exits before it was told to.
            ToParent::Leave(_) => Ok(()),
            ToParent::Reload => {
                if self.is_reloading() {
                    self.tell_engine(&FromParent::Reloaded(Err("already reloading".into())));
                } else {
                    self.reload();
                }
                Ok(())
            }
            ToParent::Verbose(verbose) => {
                self.setup.verbose = verbose;
                log::set_verbose(verbose);
                let members = self.current.iter_mut().flat_map(Generation::members);
                // Who says so knows, and may want something else by now.
                for member in members.filter(|member| member.token != token) {
                    let _ = member.channel.send(&FromParent::Verbose(verbose));
                }
                Ok(())
            }
        }
    }

    /// Handles the end of a child, which exited or was killed.
    fn lose(&mut self, token: Token, broken: &Broken) -> Result<(), Failed> {
        let failure = self.member(token).map(|member| member.post_mortem(broken));
        self.do_without(token, &failure.unwrap_or_default())
    }

    /// Handles the loss of a child, which ends the daemon, or the generation that was starting.
    fn do_without(&mut self, token: Token, failure: &str) -> Result<(), Failed> {
        let is_current =
            self.current.iter_mut().flat_map(Generation::members).any(|one| one.token == token);
        if is_current { Err(told(failure)) } else { self.give_up_next(failure) }
    }

    /// Starts a generation with the same configuration, since only new processes can do what `process`
    /// wants.
    fn renew(&mut self, renewal: Renewal, process: Process) {
        let now = Instant::now();
        let is_soon = self.renewed_at.is_some_and(|at| now < at + RENEWAL_PAUSE);
        if self.next.is_some() || is_soon {
            return self.tell(process, &FromParent::NotRenewed("not yet".into()));
        }
        self.renewed_at = Some(now);
        let Some(checked) = self.current.as_ref().map(|current| current.checked.clone()) else {
            return;
        };
        let start = Start { renewal: Some(renewal.clone()), ..self.start(Some(&checked)) };
        let Some((common, _)) = &self.common else { return };
        let started =
            Generation::spawn(&self.program, checked, &start, common, self.poll.registry());
        match started {
            Ok(mut next) => {
                next.renewal = Some((renewal, process));
                self.next = Some(Next::Starting(next));
            }
            Err(error) => {
                let why = reason(&error).to_string();
                self.tell(process, &FromParent::NotRenewed(why));
            }
        }
    }

    /// Abandons a renewal; only the process that asked for it is told.
    fn give_up_renewal(&mut self, failure: &str) {
        let Some(Next::Starting(next)) = self.next.take() else { return };
        if let Some((_, process)) = &next.renewal {
            log::verbose(format_args!("not restarted: {failure}"));
            self.tell(*process, &FromParent::NotRenewed(failure.into()));
        }
        next.end();
    }

    /// Starts to read the configuration for the next generation.
    fn reload(&mut self) {
        self.reloads_again = false;
        if self.next.is_some() && !self.is_reloading() {
            self.give_up_renewal("superseded by a reload");
        }
        if let Err(error) = self.read_config() {
            let _ = self.give_up_next(&reason(&error).to_string());
        }
    }

    fn read_config(&mut self) -> io::Result<()> {
        let arguments = &self.setup.arguments;
        let mut reader = Member::spawn(
            &self.program,
            Process::Reader,
            (arguments, Vec::new()),
            self.poll.registry(),
        )?;
        // If it cannot hear, that shows as its end.
        let _ = reader.channel.send(&FromParent::Start(Box::new(self.start(None))));
        self.next = Some(Next::Reading(reader));
        Ok(())
    }

    /// What a process must know, with the configuration if that was read.
    fn start(&self, checked: Option<&Checked>) -> Start {
        let Setup { verbose, foreground, .. } = self.setup;
        let config = checked.map(|checked| checked.text.clone()).unwrap_or_default();
        let origins = checked.map(|checked| checked.origins.clone()).unwrap_or_default();
        let (since, up) = (self.since, self.began.elapsed());
        Start { config, origins, verbose, foreground, since, up, renewal: None }
    }

    /// Starts the processes for the configuration that was read.
    fn start_next(&mut self, read: Result<Checked, Vec<String>>) -> Result<(), Failed> {
        if let Some(Next::Reading(mut reader)) = self.next.take() {
            reader.end();
        }
        let checked = match read {
            Ok(checked) => checked,
            Err(faults) => {
                faults.iter().for_each(log::error);
                let count = faults.len();
                let text = faults.into_iter().next().unwrap_or_default();
                return self.refuse_next(text, count);
            }
        };
        if self.current.is_some() {
            // The operator who started the daemon has seen them.
            checked.warnings.iter().for_each(log::warning);
        }
        if let Err(failure) = self.open_common(&checked) {
            return self.give_up_next(&failure);
        }
        let start = self.start(Some(&checked));
        let Some((common, _)) = &self.common else { return Ok(()) };
        let started =
            Generation::spawn(&self.program, checked, &start, common, self.poll.registry());
        match started {
            Ok(generation) => {
                self.next = Some(Next::Starting(generation));
                Ok(())
            }
            Err(error) => self.give_up_next(&reason(&error).to_string()),
        }
    }

    /// Creates the control socket and everything else that all generations share; after that the parent
    /// enters its sandbox.
    fn open_common(&mut self, checked: &Checked) -> Result<(), String> {
        if let Some((_, path)) = &self.common {
            if *path != checked.socket {
                log::warning(format_args!(
                    "{}: a change of socket takes effect at the next start",
                    escaped_path(&checked.socket)
                ));
            }
            return Ok(());
        }
        let path = checked.socket.clone();
        let control = socket::bind(&path, socket::GROUP).map_err(|error| error.to_string())?;
        let control = control.into();
        let mut common = Common(vec![(Slot::Control, control)]);
        // Without it there is another way.
        if let Ok((to_write, to_read)) = shared::create() {
            common.0.extend([(Slot::ImageToWrite, to_write), (Slot::ImageToRead, to_read)]);
        }
        self.common = Some((common, path.clone()));
        let rights = Process::Parent.role(Variant::Usual).rights(|place| match place {
            Place::Program => self.program.path().into(),
            _ => path.clone(),
        });
        match sandbox::enter(&rights) {
            Ok(Strength::Full) => {}
            Ok(weaker) => log::warning(format_args!("parent: {weaker}")),
            Err(error) => return Err(error.to_string()),
        }
        if !Uid::effective().is_root() {
            log::verbose("not started by root: all processes keep their user");
        }
        Ok(())
    }

    /// Abandons the next generation; the old one stays, if there is one.
    fn give_up_next(&mut self, failure: &str) -> Result<(), Failed> {
        if self.next.is_some() && !self.is_reloading() {
            self.give_up_renewal(failure);
            return Ok(());
        }
        log::error(failure);
        self.refuse_next(failure.into(), 1)
    }

    fn refuse_next(&mut self, failure: String, count: usize) -> Result<(), Failed> {
        match self.next.take() {
            Some(Next::Reading(mut reader)) => reader.end(),
            Some(Next::Starting(generation)) => drop(generation.end()),
            None => {}
        }
        if self.current.is_none() {
            return Err(Failed);
        }
        log::error("reload failed, keeping the old configuration");
        let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
        self.tell_engine(&FromParent::Reloaded(Err(failure + &more)));
        Ok(())
    }

    /// Replaces the old generation once all processes of the next one are ready.
    fn replace_if_ready(&mut self) -> Result<(), Failed> {
        let Some(Next::Starting(next)) = &mut self.next else { return Ok(()) };
        if !next.members().all(|member| member.is_ready) {
            return Ok(());
        }
        let Some(Next::Starting(mut next)) = self.next.take() else { return Ok(()) };
        if let (Some(_), Some((renewal, process))) = (&self.current, next.renewal.take()) {
            log::verbose(format_args!("restarted for {}: {renewal}", process.name()));
            self.tell_engine(&FromParent::HandOver);
        } else if self.current.is_some() {
            log::info("configuration reloaded");
            // First, so that nobody who connects after the answer meets the old engine.
            self.tell_engine(&FromParent::HandOver);
            self.tell_engine(&FromParent::Reloaded(Ok(())));
        } else {
            if !self.setup.foreground {
                log::to_syslog();
            }
            log::info("startup");
        }
        let legacies = self.current.take().map(Generation::end).unwrap_or_default();
        for legacy in legacies {
            if let Some(heir) = next.member(legacy.heir()) {
                let _ = heir.channel.send(&FromParent::Inherit(legacy));
            }
        }
        for member in next.members() {
            let _ = member.channel.send(&FromParent::Go);
        }
        self.current = Some(next);
        self.scan_at = Some(Instant::now());
        self.go_to_background().map_err(|error| told(reason(&error)))
    }

    /// Tells the program that started the daemon that all are ready, and releases the terminal.
    fn go_to_background(&mut self) -> io::Result<()> {
        let Some(waiting) = self.setup.waiting.take() else { return Ok(()) };
        File::from(waiting).write_all(b"\n")?;
        silence()
    }

    fn end(&mut self) {
        match self.next.take() {
            Some(Next::Reading(mut reader)) => reader.end(),
            Some(Next::Starting(generation)) => drop(generation.end()),
            None => {}
        }
        if let Some(current) = self.current.take() {
            current.end();
        }
        if let Some((_, path)) = self.common.take() {
            // If this fails, the next start removes it.
            let _ = fs::remove_file(path);
        }
    }
}
