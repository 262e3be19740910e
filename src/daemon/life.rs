//! The life of the parent's children, from the first message to the end of the parent.
//!
//! [`Life::begin`] takes the channel to the parent and waits for the first message; [`Life::lock_in`] gives
//! up root and everything that the role does not need; [`Life::ready`] reports that. From then on
//! [`Life::orders`] returns the parent's messages, until the parent has gone: that ends every role, after
//! work that must not be interrupted. Roles wait with [`Life::wait`].
#![forbid(unsafe_code)]

use super::messages::{FromParent, Legacy, Start, ToParent};
use super::roles::{Place, Process, Variant};
use super::slot::{Slot, inherited};
use crate::config::{self, Config};
use crate::errno::reason;
use crate::log;
use crate::process::channel::{Broken, Channel};
use crate::process::sandbox::{self, Strength};
use crate::process::spawn::silence;
use crate::process::user::User;
use mio::{Events, Poll, Registry, Token};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Uid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The token for the parent's messages, in every role.
pub const PARENT: Token = Token(0);

/// The parent has gone.
#[derive(Debug)]
pub struct Over;

/// A child's life.
pub struct Life {
    process: Process,
    channel: Channel<ToParent, FromParent>,
    start: Start,
    orders: VecDeque<FromParent>,
    is_over: bool,
}

impl Life {
    /// Takes the first message.
    ///
    /// # Errors
    /// This process was not started by a parent.
    pub fn begin(process: Process) -> io::Result<Life> {
        let mut channel = Channel::new(inherited(Slot::Parent)?)?;
        for signal in [SIGHUP, SIGINT, SIGTERM, SIGUSR1] {
            // The parent handles them for all; the store must not be interrupted in a write.
            signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
        }
        match channel.wait_for_message() {
            Ok(FromParent::Start(start)) => {
                log::set_verbose(start.verbose);
                let (start, orders) = (*start, VecDeque::new());
                Ok(Life { process, channel, start, orders, is_over: false })
            }
            Ok(_) => Err(io::Error::other("not the first message")),
            Err(broken) => Err(io::Error::other(broken.to_string())),
        }
    }

    /// The parent's first message.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The configuration that the parent sent.
    pub fn config(&self) -> Result<Config, String> {
        let mut config = config::from_text(&self.start.config)?;
        config.rules.origins = self.start.origins.clone();
        Ok(config)
    }

    /// If this process is root, changes to the user and the root directory of its role; then confines it
    /// according to its row in the table, with a path for each place.
    pub fn lock_in(&self, variant: Variant, at: impl Fn(Place) -> PathBuf) -> Result<(), String> {
        let role = self.process.role(variant);
        if let Some(user) = role.user.filter(|_| Uid::effective().is_root()) {
            let user = User::named(user).map_err(|error| error.to_string())?;
            user.assume(role.chroot.map(Path::new)).map_err(|error| error.to_string())?;
        }
        sandbox::title(self.process.name());
        match sandbox::enter(&role.rights(at)).map_err(|error| error.to_string())? {
            Strength::Full => {}
            weaker => log::warning(format_args!("{}: {weaker}", self.process.name())),
        }
        Ok(())
    }

    /// Tells the parent that everything is open, and registers the channel with [`PARENT`].
    pub fn ready(&mut self, registry: &Registry) -> Result<(), String> {
        let registered = self.channel.register(registry, PARENT);
        registered.map_err(|error| reason(&error).to_string())?;
        self.tell(&ToParent::Ready);
        Ok(())
    }

    /// Sends a message to the parent. If it has gone, the next order shows that.
    pub fn tell(&mut self, message: &ToParent) {
        self.hand_on_log();
        let _ = self.channel.deliver(message);
    }

    /// Tells the parent what is left to the next generation. If the parent has not ended this process but has
    /// died, this is logged: nobody else is left to tell of it.
    pub fn leave(&mut self, legacy: Legacy) {
        self.hand_on_log();
        if let Err(Broken::Ended) = self.channel.deliver(&ToParent::Leave(legacy)) {
            log::error("parent: has died, terminating");
        }
    }

    /// Passes lines for the log to the parent.
    pub fn hand_on_log(&mut self) {
        for (severity, line) in log::take_kept() {
            let _ = self.channel.deliver(&ToParent::Log(severity, line));
        }
    }

    /// The parent's messages for this role.
    pub fn orders(&mut self) -> Result<Option<FromParent>, Over> {
        self.listen();
        match self.orders.pop_front() {
            None if self.is_over => Err(Over),
            order => Ok(order),
        }
    }

    /// How long this role may wait, if it would wait for `longest`: not at all if the parent has sent
    /// something or has gone. Must be called before every wait. Readiness is reported once: an earlier read
    /// may have taken the last order together with the end of the channel, and nothing would ever wake the
    /// role again.
    pub fn patience(&mut self, longest: Option<Duration>) -> Option<Duration> {
        let has_news = self.has_lost_parent() || !self.orders.is_empty();
        if has_news { Some(Duration::ZERO) } else { longest }
    }

    /// Waits until something happens, at most for `longest`.
    pub fn wait(
        &mut self,
        poll: &mut Poll,
        events: &mut Events,
        longest: Option<Duration>,
    ) -> Result<(), String> {
        match poll.poll(events, self.patience(longest)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(reason(&error).to_string())
            }
            // An interrupted wait has found nothing.
            _ => Ok(()),
        }
    }

    /// Whether the parent has gone, and all its messages have been read.
    pub fn is_over(&mut self) -> bool {
        self.has_lost_parent() && self.orders.is_empty()
    }

    /// Whether the parent has gone, so that the role must not wait any longer.
    pub fn has_lost_parent(&mut self) -> bool {
        self.listen();
        self.is_over
    }

    /// Waits until the parent sends something or exits, or there is room in the channel to another process.
    pub fn wait_for_room(&self, way: &impl AsFd) -> io::Result<()> {
        let parent = PollFd::new(self.channel.as_fd(), PollFlags::POLLIN);
        let way = PollFd::new(way.as_fd(), PollFlags::POLLOUT);
        match poll(&mut [parent, way], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn listen(&mut self) {
        self.hand_on_log();
        while !self.is_over {
            match self.channel.receive() {
                Ok(None) => return,
                Ok(Some(FromParent::Verbose(verbose))) => log::set_verbose(verbose),
                Ok(Some(order)) => {
                    if matches!(order, FromParent::Go) {
                        self.go();
                    }
                    self.orders.push_back(order);
                }
                Err(Broken::Ended) => self.is_over = true,
                Err(broken) => {
                    log::error(format_args!("{}: parent: {broken}", self.process.name()));
                    self.is_over = true;
                }
            }
        }
    }

    /// Goes to the background, unless told to stay in the foreground.
    fn go(&self) {
        if self.start.foreground {
            return;
        }
        if cfg!(target_os = "openbsd") {
            log::to_syslog();
        } else {
            log::keep();
        }
        let _ = silence();
    }
}
