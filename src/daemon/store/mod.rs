//! The store: it alone reads and writes the database.
//!
//! May touch: the database (not even that of another name beside it on OpenBSD), the memory it shares with
//! the engine, its socketpairs. It never decodes what it reads; what it writes are traps and their ends,
//! for which it believes the engine nothing: an address must be one, must not be in `allow`, must be within
//! `trap limit`, and what lies under it is looked at again under the lock. How long a trap lasts is the
//! configuration's. The worst that a taken engine can do here is to trap hosts at that rate, and to end
//! traps. Since it is the engine that hears the operator, it can say that the operator wants a whitelisted
//! host trapped; `allow` holds against that too, and so does the rate.
//!
//! It waits for messages, for the lock, and for the engine to take answers: everywhere it watches for its
//! parent's end. A write under way is finished first.
#![forbid(unsafe_code)]

mod limit;

use crate::config::Config;
use crate::daemon::life::Life;
use crate::daemon::messages::{By, Change, FromStore, FromSync, Image, ToStore, ToSync};
use crate::daemon::now;
use crate::daemon::peer::Peer;
use crate::daemon::roles::Variant;
use crate::daemon::slot::{Slot, inherited};
use crate::db::database::{Changes, Database};
use crate::db::lock::{self, Creation, FileId, Wait};
use crate::db::{Engine, EngineError};
use crate::errno::reason;
use crate::escape::escaped_path;
use crate::log;
use crate::process::shared::Writer;
use crate::spamd::Address;
use crate::spamd::sync::Trap;
use crate::spamd::trap::{self, Outcome, Over, Refusal};
use limit::Limit;
use mio::{Events, Poll, Token};
use std::path::Path;
use std::time::Instant;

const ENGINE: Token = Token(1);
const SYNC: Token = Token(2);

/// The store's part, until its parent is gone.
pub fn run(life: &mut Life) -> Result<(), String> {
    let config = life.config()?;
    let mut poll = Poll::new().map_err(|error| reason(&error).to_string())?;
    let registry = poll.registry();
    let mut engine = Peer::new((Slot::Asker, "engine"), registry, ENGINE)?;
    // Only there if anybody is to be told.
    let sync = Peer::new((Slot::Sync, "sync"), registry, SYNC).ok();
    let image = inherited(Slot::ImageToWrite).map_err(|error| reason(&error).to_string())?;
    life.lock_in(Variant::Usual, |_| config.database.clone())?;
    life.ready(registry)?;
    let mut store = Store::new(config, Writer::new(image), sync);
    let mut events = Events::with_capacity(8);
    while !life.is_over() {
        if let Some(message) = engine.receive()? {
            if let Some(answer) = store.answer(life, message) {
                engine.deliver(&answer, life);
            }
        } else if let Some(peers) = store.peers()? {
            engine.deliver(&peers, life);
        } else {
            life.wait(&mut poll, &mut events, None)?;
            while let Ok(Some(_)) = life.orders() {}
        }
    }
    Ok(())
}

struct Store {
    config: Config,
    image: Writer,
    database: Database,
    /// The file that the engine judges.
    judged: Option<FileId>,
    limit: Limit,
    sync: Option<Peer<ToSync, FromSync>>,
}

/// A change of one record that may be made.
struct Planned<'a> {
    /// Its place among the addresses.
    place: usize,
    address: &'a Address,
}

impl Store {
    fn new(config: Config, image: Writer, sync: Option<Peer<ToSync, FromSync>>) -> Store {
        let database = Database::new(&config.database, Creation::Never).written_by(config.engine);
        let (traps, time) = config.trap_limit;
        let limit = Limit::new(traps, time);
        Store { config, image, database, judged: None, limit, sync }
    }

    fn answer(&mut self, life: &mut Life, message: ToStore) -> Option<FromStore> {
        match message {
            ToStore::Read => Some(FromStore::Read(self.read(life))),
            ToStore::FreeImage => {
                if let Err(error) = self.image.free() {
                    log::error(format_args!("image: {}", reason(&error)));
                }
                None
            }
            ToStore::Trap(change) => Some(self.trap(life, &change)),
            ToStore::EndTraps(change) => Some(self.release(life, &change)),
        }
    }

    fn peers(&mut self) -> Result<Option<FromStore>, String> {
        let heard = self.sync.as_mut().map_or(Ok(None), Peer::receive)?;
        Ok(heard.map(|FromSync::Peers(peers)| FromStore::Peers(peers)))
    }

    fn read(&mut self, life: &mut Life) -> Result<Image, String> {
        let path = &self.config.database;
        let mut notice = || waiting(path);
        let mut is_over = || life.has_lost_parent();
        let mut wait = Wait::usual(&mut notice).unless(&mut is_over);
        let pass = lock::read_into(path, &mut self.image, &mut wait);
        let length = self.image.len() as u64;
        self.image.unmap();
        let pass = pass.map_err(|error| error.to_string())?;
        self.judged = Some(pass.file);
        Ok(Image { length, pass })
    }

    fn trap(&mut self, life: &mut Life, change: &Change) -> FromStore {
        let (now, seconds) = (now(), self.config.trap_for.as_secs().cast_signed());
        let over = match change.by {
            By::Scan => Over::Nothing,
            By::Operator { over_white: false } => Over::Trap,
            By::Operator { over_white: true } => Over::White,
        };
        // What was read in one file must not trap in another.
        self.database.bind(self.judged.filter(|_| change.by == By::Scan));
        let admit = |config: &Config, address: &Address| {
            if config.rules.allow.contains(address.ip()) { Err(Refusal::Allowed) } else { Ok(()) }
        };
        let work = |engine: &mut dyn Engine, limit: &mut Limit, address: &Address| {
            let begun = Instant::now();
            if !limit.has_room(begun) {
                return Ok(Outcome::Refused(Refusal::Limit));
            }
            let outcome = trap::trap(engine, address, now, seconds, over);
            // A write that failed may be in the file.
            if !matches!(outcome, Ok(Outcome::Refused(_))) {
                limit.count(begun);
            }
            outcome
        };
        let (changed, addresses) = self.change(life, change, admit, work);
        self.announce(&changed, &addresses, (now, now.saturating_add(seconds)));
        changed
    }

    fn release(&mut self, life: &mut Life, change: &Change) -> FromStore {
        let work = |engine: &mut dyn Engine, _: &mut Limit, address: &Address| {
            trap::release(engine, address)
        };
        self.database.bind(None);
        self.change(life, change, |_, _| Ok(()), work).0
    }

    /// Does `work` with every address that is one and that `admit` lets through.
    fn change(
        &mut self,
        life: &mut Life,
        change: &Change,
        admit: impl Fn(&Config, &Address) -> Result<(), Refusal>,
        work: impl Fn(&mut dyn Engine, &mut Limit, &Address) -> Result<Outcome, EngineError>,
    ) -> (FromStore, Vec<Result<Address, Refusal>>) {
        let addresses: Vec<_> = change
            .addresses
            .iter()
            .map(|text| {
                let address = Address::parse(text.as_bytes()).map_err(|_| Refusal::NotAnAddress)?;
                admit(&self.config, &address).map(|()| address)
            })
            .collect();
        let mut outcomes: Vec<_> = addresses
            .iter()
            .map(|address| address.as_ref().err().map(|refusal| Outcome::Refused(*refusal)))
            .collect();
        let planned: Vec<_> = addresses
            .iter()
            .enumerate()
            .filter_map(|(place, address)| Some(Planned { place, address: address.as_ref().ok()? }))
            .collect();
        let mut work = |engine: &mut dyn Engine, planned: &Planned<'_>| {
            work(engine, &mut self.limit, planned.address)
        };
        let path = self.config.database.clone();
        let (mut notice, mut is_over) = (|| waiting(&path), || life.has_lost_parent());
        let mut wait = Wait::usual(&mut notice).unless(&mut is_over);
        let Changes { done, cost, failure } =
            self.database.in_batches(&planned, &mut wait, &mut work);
        for (Planned { place, .. }, outcome) in planned.iter().zip(done) {
            if let Some(slot) = outcomes.get_mut(*place) {
                *slot = Some(outcome);
            }
        }
        let (longest, failure) = (cost.longest, failure.map(|error| error.to_string()));
        let ticket = change.ticket;
        (FromStore::Changed { ticket, outcomes, failure, longest }, addresses)
    }

    /// Has the others told of traps.
    fn announce(
        &mut self,
        changed: &FromStore,
        addresses: &[Result<Address, Refusal>],
        (start, expire): (i64, i64),
    ) {
        let (Some(sync), FromStore::Changed { outcomes, .. }) = (&mut self.sync, changed) else {
            return;
        };
        let traps: Vec<_> = outcomes
            .iter()
            .zip(addresses)
            .filter(|(outcome, _)| outcome.is_some_and(Outcome::is_trapped))
            .filter_map(|(_, address)| address.as_ref().ok())
            .map(|address| Trap { address: address.ip(), start, expire })
            .collect();
        if !traps.is_empty() {
            sync.send(&ToSync::Trapped(traps));
        }
    }
}

fn waiting(path: &Path) {
    log::warning(format_args!("{}: locked by another process, waiting", escaped_path(path)));
}
