//! The process that tells the other MXes of traps, by spamd's own protocol.
//!
//! May touch: UDP sockets that it opened and connected before it was locked in, its socketpair. It reads
//! the key and resolves names as root, and knows the key ever after: hence a process of its own.
#![forbid(unsafe_code)]

use super::life::Life;
use super::messages::{FromSync, ToSync};
use super::peer::Peer;
use super::roles::Variant;
use super::slot::Slot;
use crate::control::status;
use crate::errno::reason;
use crate::log;
use crate::sync::{Announcer, port};
use mio::{Events, Poll, Token};
use std::path::PathBuf;

const STORE: Token = Token(1);

/// Sync's part, until its parent is gone.
pub fn run(life: &mut Life) -> Result<(), String> {
    let config = life.config()?;
    let mut announcer = Announcer::open(&config.sync, port()).map_err(|error| error.to_string())?;
    let mut poll = Poll::new().map_err(|error| reason(&error).to_string())?;
    let mut store = Peer::new((Slot::Asker, "store"), poll.registry(), STORE)?;
    life.lock_in(Variant::Usual, |_| PathBuf::new())?;
    life.ready(poll.registry())?;
    store.send(&FromSync::Peers(peers(&announcer)));
    let mut events = Events::with_capacity(8);
    while !life.is_over() {
        while let Some(ToSync::Trapped(traps)) = store.receive()? {
            announcer.announce(&traps).iter().for_each(log::warning);
            if traps.iter().any(|trap| trap.address.is_ipv6()) {
                let skipped = announcer.skipped();
                log::verbose(format_args!("sync: {skipped} traps of IPv6 hosts not told so far"));
            }
            store.send(&FromSync::Peers(peers(&announcer)));
        }
        life.wait(&mut poll, &mut events, None)?;
        while let Ok(Some(_)) = life.orders() {}
    }
    Ok(())
}

fn peers(announcer: &Announcer) -> Vec<status::Peer> {
    let peer = |peer: &crate::sync::Peer| status::Peer {
        name: peer.target().to_string(),
        sent: peer.sent(),
        failed: peer.failed(),
    };
    announcer.peers().iter().map(peer).collect()
}
