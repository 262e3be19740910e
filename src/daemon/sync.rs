//! The process that tells the other MXes of traps, by spamd's own protocol.
//!
//! May touch: UDP sockets that it opened and connected before it was locked in, its socketpair. It reads
//! the key and resolves names as root, and knows the key ever after: hence a process of its own.
#![forbid(unsafe_code)]

use super::life::Life;
use super::messages::{FromParent, FromSync, Renewal, ToParent, ToSync};
use super::peer::Peer;
use super::roles::Variant;
use super::slot::Slot;
use crate::control::status;
use crate::errno::reason;
use crate::log;
use crate::plural::counted;
use crate::sync::{Announcer, port};
use mio::{Events, Poll, Token};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const STORE: Token = Token(1);

/// Sync's part, until its parent is gone.
pub fn run(life: &mut Life) -> Result<(), String> {
    let config = life.config()?;
    let mut announcer = Announcer::open(&config.sync, port()).map_err(|error| error.to_string())?;
    let unreached = announcer.unreached().count();
    if let Some(Renewal::Peers(before)) = life.start().renewal
        && unreached >= before
    {
        let last = announcer.unreached().last().map(|unreached| unreached.to_string());
        return Err(last.unwrap_or_default());
    }
    let mut poll = Poll::new().map_err(|error| reason(&error).to_string())?;
    let mut store = Peer::new((Slot::Asker, "store"), poll.registry(), STORE)?;
    life.lock_in(Variant::Usual, |_| PathBuf::new())?;
    for unreached in announcer.unreached() {
        log::warning(format_args!("{unreached}; not sending traps to it, will retry"));
    }
    life.ready(poll.registry())?;
    store.send(&FromSync::Peers(peers(&announcer)));
    let mut retry = Retry::new(unreached, config.scan_every);
    let mut events = Events::with_capacity(8);
    while !life.is_over() {
        while let Ok(Some(order)) = life.orders() {
            if matches!(order, FromParent::NotRenewed(_)) {
                retry.put_off();
            }
        }
        if retry.is_due() {
            life.tell(&ToParent::Renew(Renewal::Peers(unreached)));
        }
        while let Some(ToSync::Trapped(traps)) = store.receive()? {
            announcer.announce(&traps).iter().for_each(log::warning);
            if traps.iter().any(|trap| trap.address.is_ipv6()) {
                let skipped = announcer.skipped();
                let skipped = counted(skipped, "trap of IPv6 hosts");
                log::verbose(format_args!("sync: {skipped} not sent so far"));
            }
            store.send(&FromSync::Peers(peers(&announcer)));
        }
        life.wait(&mut poll, &mut events, retry.patience())?;
    }
    Ok(())
}

/// When peers that could not be reached are to be tried again, by a new process: this one can resolve and
/// connect nothing.
struct Retry {
    pause: Duration,
    /// Not while the answer to the last wish is waited for, nor if all were reached.
    at: Option<Instant>,
}

impl Retry {
    /// As often as there is a scan.
    fn new(unreached: usize, pause: Duration) -> Retry {
        let mut retry = Retry { pause, at: None };
        if unreached > 0 {
            retry.put_off();
        }
        retry
    }

    fn put_off(&mut self) {
        self.at = Instant::now().checked_add(self.pause);
    }

    /// Whether it is time, once.
    fn is_due(&mut self) -> bool {
        self.at.take_if(|at| *at <= Instant::now()).is_some()
    }

    fn patience(&self) -> Option<Duration> {
        self.at.map(|at| at.saturating_duration_since(Instant::now()))
    }
}

fn peers(announcer: &Announcer) -> Vec<status::Peer> {
    let peer = |peer: &crate::sync::Peer| status::Peer {
        name: peer.target().to_string(),
        sent: peer.sent(),
        failed: peer.failed(),
    };
    announcer.peers().iter().map(peer).collect()
}
