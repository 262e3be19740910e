//! Judges one image on a thread of its own, so that the engine's loop can serve others meanwhile.
//!
//! In: the image and the [`Purpose`]. Out: [`Found`]. Questions that come up meanwhile go to the loop
//! ([`Said::Ask`], [`Said::Check`]). Nobody waits for the slowest: a scan passes on hosts to trap as soon as
//! they are settled ([`Said::Traps`]), first those that need no answer, then with each answer, at first after
//! [`FIRST_ANSWERS`](asking). What is not answered in half the time between two scans is unknown. The bytes come from
//! strangers; what leaves this module is escaped text and plain numbers. The thread ends with the judging, and
//! wakes the loop with a byte on a socketpair.
#![forbid(unsafe_code)]

mod asking;
mod judge;
mod known;
mod records;

use super::recalling::Wanted;
use crate::checker::remembered::Remembered;
use crate::config::Config;
use crate::control::protocol::{Explained, Trap};
use crate::daemon::messages::{ToChecker, ToResolver};
use crate::db::Damage;
use crate::evidence::{self, Key};
use crate::export::Hearing;
use crate::inquiry::Answered;
use crate::memory::Hold;
use crate::process::image::View;
use crate::scan::identity::Question;
use crate::scan::seen::{self, News};
use crate::scan::{Counts, Rule, Verdict};
use mio::net::UnixStream;
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The purpose of reading an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A scan, which traps hosts.
    Scan,
    /// To show all greylisted hosts, and what a scan would find.
    Hosts,
    /// To show what a scan would find about one host.
    Host(IpAddr),
    /// To show all trapped hosts.
    Traps,
    /// To find all spamtraps.
    Spamtraps,
}

/// A message of the thread.
pub enum Said {
    /// In a scan, what the records say before any host is settled by answers.
    Read(Box<Overview>),
    /// Hosts to trap, whatever the outstanding answers are.
    Traps(Vec<Verdict>),
    /// It needs an [`Answer::Dns`].
    Ask(Vec<ToResolver>),
    /// It needs to know something of memory.
    Recall(Wanted),
    /// It has read the file of other sites' hosts.
    Heard {
        /// What was wrong with it.
        warning: Option<String>,
        /// Whether another file is in its place, which only another engine can read.
        is_replaced: bool,
    },
    /// It needs an [`Answer::Checked`] with this many answers.
    Check(Vec<ToChecker>, usize),
    /// It has ended.
    Done(Result<Box<Found>, Damage>),
}

/// An answer to the thread.
pub enum Answer {
    /// What DNS says; `None` if it could not be asked.
    Dns(Option<Answered>),
    /// What the external program has said so far about each recipient, by number, and whether that is all.
    Checked(Vec<Option<bool>>, bool),
}

/// What the records say before any host is settled by answers.
#[derive(Debug, Default)]
pub struct Overview {
    /// The number of records of each kind.
    pub counts: Counts,
    /// The first few records that are not spamd's.
    pub unknown: Vec<String>,
    /// The held hosts of which nothing is left that they had sent before their release.
    pub let_go: HashMap<IpAddr, i64>,
    /// Of the watched hosts those that are whitelisted.
    pub passed: Vec<IpAddr>,
}

/// The result.
#[derive(Debug, Default)]
pub struct Found {
    /// The number of hosts with a live tuple.
    pub waiting: u64,
    /// How many of these were judged by the rules.
    pub judged: u64,
    /// In a scan, verdicts on hosts that pass for a reason; otherwise all that were asked for.
    pub hosts: Vec<Verdict>,
    /// For [`Purpose::Host`], that host.
    pub explained: Option<Explained>,
    /// For [`Purpose::Traps`], the traps.
    pub trapped: Vec<Trap>,
    /// Trapped hosts whose names DNS confirms, and an exception covers.
    pub freed: Vec<IpAddr>,
    /// Hosts with one bad message, outweighed by their identity this time.
    pub spared: Vec<IpAddr>,
    /// Hosts for which the domain of a sender vouches.
    pub vouched: Vec<IpAddr>,
    /// What the external program said about recipients, as far as it is believed.
    pub heard: Vec<(Vec<u8>, bool)>,
    /// What was not believed, and why.
    pub doubts: Vec<String>,
    /// Of the dead domains those that receive mail.
    pub revived: Vec<Vec<u8>>,
    /// Hosts whose identity had no answer, if DNS was usable.
    pub unanswered: Option<Vec<IpAddr>>,
    /// In a scan, what memory is to keep of all hosts.
    pub news: News,
    /// In a scan, the evidence that memory is to keep.
    pub evidence: Vec<(Key, evidence::Entry)>,
    /// For [`Purpose::Spamtraps`], their addresses.
    pub spamtraps: HashSet<Vec<u8>>,
    /// How long it worked, not counting the time it waited.
    pub worked: Duration,
}

/// The task.
pub struct Work {
    /// The configuration.
    pub config: Arc<Config>,
    /// The purpose.
    pub purpose: Purpose,
    /// Rules that are only observed.
    pub observed: Vec<Rule>,
    /// Released hosts, with the time.
    pub held: HashMap<IpAddr, Hold>,
    /// Hosts that were spared before, although they sent a bad message.
    pub spared: Arc<HashSet<IpAddr>>,
    /// Earlier verdicts of the external program.
    pub recipients: Arc<Remembered>,
    /// Hosts whose identity has had no answer for a long time.
    pub overdue: HashSet<IpAddr>,
    /// Trapped hosts with names that an exception covers.
    pub exempt: Vec<Question>,
    /// Hosts that rules have trapped.
    pub watched: HashSet<IpAddr>,
    /// Sender domains for which hosts were trapped.
    pub dead: Vec<Vec<u8>>,
    /// For [`Purpose::Host`], why the daemon has trapped that host.
    pub trapped: Option<Explained>,
    /// Which tuples memory knows; `None` if it is to know none.
    pub known: Option<Arc<seen::Known>>,
    /// The file of hosts that other sites have in the trap, if there is one.
    pub hearing: Option<Arc<Mutex<Hearing>>>,
    /// Seconds since 1970.
    pub now: i64,
}

impl Work {
    /// Recipients that the external program must know to be believed.
    fn control(&self) -> Option<&str> {
        self.config.checker.as_ref()?.control.as_deref()
    }
}

/// The loop's side of the thread.
pub struct Judging {
    said: Receiver<Said>,
    answers: Sender<Answer>,
    thread: JoinHandle<()>,
}

impl Judging {
    /// Starts it on `view`; it writes a byte to `wake` after each message.
    pub fn start(view: View, work: Work, wake: UnixStream) -> io::Result<Judging> {
        let (to_loop, said) = channel();
        let (answers, from_loop) = channel();
        let line = Line { to_loop, from_loop, wake };
        let thread = thread::Builder::new().name("judging".into()).spawn(move || {
            let outcome = judge::judge(&view, &work, &line);
            // Before the loop has the image unmapped.
            drop(view);
            line.say(Said::Done(outcome.map(Box::new)));
        })?;
        Ok(Judging { said, answers, thread })
    }

    /// Its next message, if there is one.
    pub fn said(&self) -> Option<Said> {
        self.said.try_recv().ok()
    }

    /// Sends it an answer.
    pub fn answer(&self, answer: Answer) {
        // The thread waits for nothing else.
        let _ = self.answers.send(answer);
    }

    /// Waits until it has ended, after [`Said::Done`].
    pub fn join(self) {
        let _ = self.thread.join();
    }
}

/// The thread's side.
struct Line {
    to_loop: Sender<Said>,
    from_loop: Receiver<Answer>,
    wake: UnixStream,
}

impl Line {
    fn say(&self, said: Said) {
        let _ = self.to_loop.send(said);
        // If the socket is full, there is a byte already.
        let _ = (&self.wake).write(&[0]);
    }

    /// The next answer, if it comes before `until`.
    fn answer(&self, until: Instant) -> Option<Answer> {
        self.from_loop.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
    }
}
