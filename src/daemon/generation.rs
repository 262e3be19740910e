//! The processes that work with one configuration, from their start to their end.
//!
//! [`Generation::spawn`] creates all socketpairs between them, distributes the ends and starts the
//! processes; only the parent's own channel to each stays open in the parent. Only the parent calls this.
#![forbid(unsafe_code)]

use super::messages::{Checked, FromParent, Legacy, Needs, Renewal, Start, ToParent};
use super::options;
use super::roles::{Process, ROLES, Role, Variant};
use super::slot::Slot;
use crate::log;
use crate::process::channel::{Broken, Channel};
use crate::process::spawn::{Program, pair};
use mio::{Registry, Token};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait for the status of a process that has closed its channel to the parent.
const POST_MORTEM: Duration = Duration::from_millis(500);
/// The maximum number of messages read from an exiting process at a time.
const LAST_WORDS: usize = 1000;
/// The pause between two checks of an exiting process.
const PAUSE: Duration = Duration::from_millis(1);

/// Processes, and the configuration they work with.
#[derive(Debug)]
pub struct Generation {
    /// The configuration.
    pub checked: Checked,
    /// Why it was started, if not for another configuration, and which process asked for it.
    pub renewal: Option<(Renewal, Process)>,
    members: Vec<Member>,
}

/// The descriptors that all generations share, each in its slot: the parent opens them once, before it
/// enters its sandbox.
#[derive(Debug)]
pub struct Common(pub Vec<(Slot, OwnedFd)>);

/// One process, as the parent knows it.
#[derive(Debug)]
pub struct Member {
    /// What it does.
    pub process: Process,
    /// The token of its events, which is never reused.
    pub token: Token,
    /// The channel to it.
    pub channel: Channel<FromParent, ToParent>,
    /// Whether it is ready.
    pub is_ready: bool,
    /// Why it exits, as reported by itself.
    pub failure: Option<String>,
    child: Child,
}

impl Generation {
    /// Starts all processes, which report when they are ready.
    pub fn spawn(
        program: &Program,
        checked: Checked,
        start: &Start,
        common: &Common,
        registry: &Registry,
    ) -> io::Result<Generation> {
        let mut generation = Generation { checked, renewal: None, members: Vec::new() };
        let started = generation.spawn_all(program, start, common, registry);
        match started {
            Ok(()) => Ok(generation),
            Err(error) => {
                generation.end();
                Err(error)
            }
        }
    }

    fn spawn_all(
        &mut self,
        program: &Program,
        start: &Start,
        common: &Common,
        registry: &Registry,
    ) -> io::Result<()> {
        let needs = self.checked.needs;
        for (role, descriptors) in endow(&needs, common)? {
            let process = role.process;
            let mut member = Member::spawn(program, process, (&[], descriptors), registry)?;
            let sent = member.channel.send(&FromParent::Start(Box::new(start.clone())));
            let failure = sent.err().map(|broken| member.post_mortem(&broken));
            self.members.push(member);
            if let Some(failure) = failure {
                return Err(io::Error::other(failure));
            }
        }
        Ok(())
    }

    /// All of them.
    pub fn members(&mut self) -> impl Iterator<Item = &mut Member> {
        self.members.iter_mut()
    }

    /// The one that is `process`.
    pub fn member(&mut self, process: Process) -> Option<&mut Member> {
        self.members().find(|member| member.process == process)
    }

    /// Ends all processes: each notices that its parent has gone, and finishes what must not be
    /// interrupted. A process that is not ready yet has begun nothing, and is killed. Their last messages
    /// are what they leave to the next generation, and lines for the log.
    pub fn end(self) -> Vec<Legacy> {
        let (ready, others): (Vec<_>, Vec<_>) =
            self.members.into_iter().partition(|member| member.is_ready);
        others.into_iter().for_each(|mut member| member.end());
        ready.iter().for_each(|member| member.channel.close_writing());
        let (mut ready, mut legacies, start) = (ready, Vec::new(), Instant::now());
        while !ready.is_empty() {
            ready.retain_mut(|member| {
                let is_over = has_ended(member.process, &mut member.child, start.elapsed());
                // What it said before its end, if it has ended.
                legacies.extend(member.last_words());
                !is_over
            });
            thread::sleep(PAUSE);
        }
        legacies
    }
}

/// The roles of a generation, each with what it is given.
type Endowed = Vec<(&'static Role, Vec<(Slot, OwnedFd)>)>;

/// Creates the channels between the roles that are needed, and distributes what all generations share.
fn endow(needs: &Needs, common: &Common) -> io::Result<Endowed> {
    let roles = ROLES.iter().map(|role| role.process.role(role.variant));
    let needed = roles.filter(|role| (role.is_needed)(needs));
    let mut endowed: Endowed = needed.map(|role| (role, Vec::new())).collect();
    let ways: Vec<_> =
        endowed.iter().filter_map(|(role, _)| Some((role.process, role.answers?))).collect();
    let mut give = |process, slot, descriptor| {
        if let Some((_, given)) = endowed.iter_mut().find(|(role, _)| role.process == process) {
            given.push((slot, descriptor));
        }
    };
    for (process, (asker, slot)) in ways {
        let (ours, theirs) = pair()?;
        give(asker, slot, ours);
        give(process, Slot::Asker, theirs);
    }
    if !common.0.iter().any(|(slot, _)| *slot == Slot::ImageToWrite) {
        // What one generation leaves unread is nothing for the next.
        let (to_write, to_read) = pair()?;
        give(Process::Store, Slot::ImageToWrite, to_write);
        give(Process::Engine, Slot::ImageToRead, to_read);
    }
    for (role, given) in &mut endowed {
        for (slot, descriptor) in common.0.iter().filter(|(slot, _)| role.given.contains(slot)) {
            given.push((*slot, descriptor.try_clone()?));
        }
    }
    Ok(endowed)
}

impl Member {
    /// Starts a process with further arguments and descriptors.
    pub fn spawn(
        program: &Program,
        process: Process,
        (arguments, descriptors): (&[OsString], Vec<(Slot, OwnedFd)>),
        registry: &Registry,
    ) -> io::Result<Member> {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        let token = Token(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        let (ours, theirs) = pair()?;
        let numbered = |(slot, descriptor)| (slot as RawFd, descriptor);
        let mut descriptors: Vec<_> = descriptors.into_iter().map(numbered).collect();
        descriptors.push((Slot::Parent as RawFd, theirs));
        let mut channel = Channel::new(ours)?;
        let mut all: Vec<OsString> = vec![options::ROLE.into(), process.name().into()];
        all.extend_from_slice(arguments);
        let child = program.spawn("greytrapper", &all, descriptors)?;
        channel.register(registry, token)?;
        Ok(Member { process, token, channel, is_ready: false, failure: None, child })
    }

    /// Reads its last messages: lines for the log, and what it leaves.
    fn last_words(&mut self) -> Vec<Legacy> {
        let mut legacies = Vec::new();
        for _ in 0..LAST_WORDS {
            match self.channel.receive() {
                Ok(Some(message)) if !message.may_come_from(self.process) => break,
                Ok(Some(ToParent::Log(severity, line))) => log::write_kept(severity, &line),
                Ok(Some(ToParent::Leave(legacy))) => legacies.push(legacy),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        legacies
    }

    /// Ends it at once.
    pub fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Why it exited, for the log.
    pub fn post_mortem(&mut self, broken: &Broken) -> String {
        let name = self.process.name();
        if let Some(failure) = self.failure.take() {
            return format!("{name}: {failure}");
        }
        let start = Instant::now();
        while start.elapsed() < POST_MORTEM {
            match self.child.try_wait() {
                Ok(Some(status)) => return format!("{name}: {}", describe(status)),
                Ok(None) => thread::sleep(PAUSE),
                Err(_) => break,
            }
        }
        format!("{name}: {broken}")
    }
}

/// Whether a process has exited; kills it if it takes too long.
fn has_ended(process: Process, child: &mut Child, since: Duration) -> bool {
    if since > process.role(Variant::Usual).patience {
        log::warning(format_args!("{}: does not exit, killed", process.name()));
        let _ = child.kill();
        let _ = child.wait();
        return true;
    }
    !matches!(child.try_wait(), Ok(None))
}

/// How a process exited, for messages.
pub fn describe(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return status.code().map_or("ended".into(), |code| format!("exited with status {code}"));
    };
    let name = Signal::try_from(signal).map_or(String::new(), |name| format!(" ({name})"));
    let hint = match signal {
        libc::SIGABRT if cfg!(target_os = "openbsd") => {
            ", as for a pledge(2) violation (see dmesg(8)), or without memory (datasize)"
        }
        libc::SIGABRT => ", as without memory",
        _ => "",
    };
    format!("killed by signal {signal}{name}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn status(script: &str) -> ExitStatus {
        Command::new("/bin/sh").args(["-c", script]).status().unwrap()
    }

    #[test]
    fn an_end_is_told_by_signal_or_status() {
        assert_eq!(describe(status("exit 3")), "exited with status 3");
        assert_eq!(describe(status("kill -9 $$")), "killed by signal 9 (SIGKILL)");
        let aborted = describe(status("kill -ABRT $$"));
        assert!(aborted.starts_with("killed by signal 6 (SIGABRT)"), "{aborted}");
        // An allocation that fails ends a process by the same signal.
        assert!(aborted.contains("without memory"), "{aborted}");
    }
}
