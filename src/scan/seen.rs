//! What a scan hands to memory of all hosts: tuples that it saw for the first time, and hosts that were
//! whitelisted not long ago.
//!
//! A tuple is new if the last scan did not see it. It did see those that spamd entered ten minutes before that
//! scan; of the others a short hash is kept ([`Known`]). The first scan after a start has only the time until
//! which memory knows all tuples, and spamd's time in each tuple.
#![forbid(unsafe_code)]

use crate::db::snapshot::{Snapshot, Trusted};
use crate::db::{ByteOrder, Damage};
use crate::memory::{Block, PACKED, Seen, pack};
use crate::spamd::{Address, Entry, Gdata, Tuple};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

/// A host that was whitelisted since it had waited has a record of a tuple that is at most so old, in
/// seconds: spamd lets a tuple wait for four hours, and at most a day.
const WAITED: i64 = 25 * 60 * 60;
/// A tuple is in the file at most so long after the time in it, in seconds: spamd looks at its clock, and may
/// then have to wait for the lock; the clock may be set.
const LATE: i64 = 10 * 60;
/// Bytes of tuples in a block: an answer may have some blocks.
const BLOCK: usize = 200 * 1024;
/// Blocks of one scan.
const BLOCKS: usize = 1000;

/// Which tuples are known.
#[derive(Debug, Default)]
pub struct Known {
    /// Until when memory knows all, in seconds since 1970, if no scan went before.
    until: i64,
    /// Hashes of the recent tuples that the last scan saw, sorted, and how they were made. Two tuples in one
    /// are a tuple that is not remembered.
    last: Option<(RandomState, Vec<u32>)>,
}

impl Known {
    /// Memory knows all tuples until this time, in seconds since 1970.
    pub fn until(until: i64) -> Known {
        Known { until, last: None }
    }

    /// Until when all tuples are known, in seconds since 1970.
    pub fn known_until(&self) -> i64 {
        self.until
    }

    fn hash(state: &RandomState, key: &[u8]) -> u32 {
        // Half of it is as good.
        u32::try_from(state.hash_one(key) >> 32).unwrap_or_default()
    }
}

/// What a scan has seen.
#[derive(Debug, Default)]
pub struct News {
    /// New tuples.
    pub blocks: Vec<Block>,
    /// Hosts that were whitelisted, each with the time of the tuple that passed.
    pub white: Vec<(IpAddr, i64)>,
    /// All tuples that were seen.
    pub known: Known,
    /// When that was, in seconds since 1970; `None` if nothing was looked through.
    pub watched: Option<i64>,
}

/// Looks through an image at `now`, in seconds since 1970.
pub fn news(snapshot: &Snapshot<'_>, known: &Known, now: i64) -> Result<News, Damage> {
    let order = snapshot.byte_order();
    snapshot.read(|records| {
        let mut gathered = Gathered::new(known, now);
        gathered.read(records, order)?;
        Ok(gathered.end())
    })
}

struct Gathered<'k> {
    known: &'k Known,
    now: i64,
    state: RandomState,
    hashes: Vec<u32>,
    news: News,
    /// Those of the next block, and their bytes.
    tuples: Vec<Seen>,
    bytes: usize,
}

impl Gathered<'_> {
    fn new(known: &Known, now: i64) -> Gathered<'_> {
        let state = known.last.as_ref().map(|(state, _)| state.clone()).unwrap_or_default();
        let (hashes, tuples, news) = (Vec::new(), Vec::new(), News::default());
        Gathered { known, now, state, hashes, news, tuples, bytes: 0 }
    }

    fn read(&mut self, records: &mut Trusted<'_, '_>, order: ByteOrder) -> Result<(), Damage> {
        for record in records {
            let record = record?;
            let Ok(data) = Gdata::decode(&record.value, order) else { continue };
            let is_tuple = memchr::memchr(b'\n', &record.key).is_some();
            let is_recent = data.first > self.now.saturating_sub(WAITED) && data.pcount >= 0;
            let is_wanted = match is_tuple {
                true => data.expire > self.now && self.is_new(&record.key, data),
                false => is_recent,
            };
            if !is_wanted {
                continue;
            }
            match Entry::decode(&record.key, &record.value, order) {
                Ok((Entry::Grey(tuple), data)) => self.take(&tuple, data),
                Ok((Entry::White(key), data)) => {
                    let address = Address::parse(key).map(|address| address.ip());
                    self.news.white.extend(address.ok().map(|address| (address, data.first)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a tuple is new, which is known from now on.
    fn is_new(&mut self, key: &[u8], data: Gdata) -> bool {
        // A clock that was set back must not make everything old.
        let until = self.known.until.min(self.now);
        if data.first <= until.saturating_sub(LATE) {
            return false;
        }
        let hash = Known::hash(&self.state, key);
        self.hashes.push(hash);
        match &self.known.last {
            Some((_, last)) => last.binary_search(&hash).is_err(),
            None => data.first > until,
        }
    }

    fn take(&mut self, tuple: &Tuple<'_>, data: Gdata) {
        let Ok(address) = Address::parse(tuple.address) else { return };
        let Gdata { first, expire, .. } = data;
        let (helo, from, to) = (tuple.helo.into(), tuple.from.into(), tuple.to.into());
        let sizes = [tuple.helo, tuple.from, tuple.to].map(<[u8]>::len);
        self.bytes = sizes.into_iter().fold(self.bytes, usize::saturating_add);
        self.tuples.push(Seen { address: address.ip(), helo, from, to, first, expire });
        if self.tuples.len() >= PACKED || self.bytes >= BLOCK {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        let mut tuples = std::mem::take(&mut self.tuples);
        self.bytes = 0;
        if tuples.is_empty() || self.news.blocks.len() >= BLOCKS {
            return;
        }
        tuples.sort_unstable_by_key(|tuple| (tuple.address, tuple.first));
        if let Ok(bytes) = pack(&tuples) {
            // What spamd enters in this second may not be in the file yet.
            let (time, until) = (self.now, self.now.saturating_sub(1));
            self.news.blocks.push(Block { time, until, bytes });
        }
    }

    fn end(mut self) -> News {
        self.end_block();
        self.hashes.sort_unstable();
        let last = Some((self.state, self.hashes));
        let known = Known { until: self.now.saturating_sub(1), last };
        News { known, watched: Some(self.now), ..self.news }
    }
}
