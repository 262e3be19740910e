//! Finds the records that libc's own walk does not see. In: the image of a sound file. Out: the ordinals of
//! the records that `hash_seq()` skips.
//!
//! Used to compare libc's walk with ours (`db::libc`). When libc's walk has returned a pair too large for a
//! page, its cursor is on the first entry of the page after the pair; the next step moves it two entries
//! further before anything is returned (`hash_seq()` in lib/libc/db/hash/hash.c, `__big_return()` and
//! `collect_data()` in hash_bigkey.c):
//!
//! | page after the big pair | the walk |
//! |---|---|
//! | pairs | skips the first |
//! | only a link | leaves the bucket |
//! | another big pair | treats the entries of its first page as a link or a pair, and reads out of bounds |
//!
//! A big pair without data leads it astray too: it treats the page after the key as data. A search finds
//! all these records, so they exist, and our walk returns them.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::chain::{Bucket, Node, Spot};
use super::edit::PageBuf;
use super::page::FULL_KEY;
use super::read::{Table, Walker};
use super::walk::Source;
use crate::db::{Damage, EngineError};

const LOST: EngineError = EngineError::Refused(
    "libc's walk would read out of bounds: a pair too large for a page follows another",
);
const NO_DATA: EngineError = EngineError::Refused(
    "libc's walk would read out of bounds: a key too large for a page has no data",
);

impl Table<'_> {
    /// The ordinals, in the order of [`Table::records`], of the records that libc's walk skips.
    ///
    /// # Errors
    ///
    /// The file is damaged, or libc must not walk it, since it would read out of bounds.
    pub fn unseen(&self) -> Result<Vec<usize>, EngineError> {
        let mut walker = Walker::new(self);
        let mut unseen = Vec::new();
        let mut before = 0_usize;
        for bucket in 0..=self.header.max_bucket {
            let chain = self.chain(bucket, &mut walker)?;
            let count = look_along(&chain, &mut |at| unseen.push(before.saturating_add(at)))?;
            before = before.saturating_add(count);
        }
        Ok(unseen)
    }

    fn chain(&self, bucket: u32, walker: &mut Walker<'_, '_>) -> Result<Bucket, Damage> {
        let node = |number, address| {
            let bytes = self.bytes(number).map(<[u8]>::to_vec);
            let page = bytes.and_then(|bytes| PageBuf::new(bytes, self.header.order));
            page.map(|page| Node { number, address, page }).map_err(|fault| fault.on(number))
        };
        let mut place = self.head(bucket)?;
        let mut nodes = vec![node(place.number, None)?];
        while let Some(address) = place.page.next() {
            place = walker.follow(place.number, address)?;
            nodes.push(node(place.number, Some(address))?);
        }
        Ok(Bucket { nodes })
    }
}

/// What the walk sees next in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    Clear,
    /// All but the first pair on this page, which follows a big pair.
    Behind(usize),
    /// Nothing more.
    Gone,
}

/// Reports which records of a chain the walk skips; returns the number of records.
fn look_along(chain: &Bucket, pass_over: &mut dyn FnMut(usize)) -> Result<usize, EngineError> {
    let records = chain.records()?;
    let mut sight = Sight::Clear;
    for (at, (spot, record)) in records.iter().enumerate() {
        let (Spot::Page { node, .. } | Spot::Big { first: node, .. }) = *spot;
        if let Sight::Behind(page) = sight
            && page < node
        {
            sight = if is_bare_link(chain, page) { Sight::Gone } else { Sight::Clear };
        }
        match (sight, *spot) {
            (Sight::Gone, _) | (Sight::Behind(_), Spot::Page { index: 1, .. }) => pass_over(at),
            (Sight::Behind(_), Spot::Big { .. }) => return Err(LOST),
            (Sight::Clear, Spot::Big { last, .. }) => {
                if record.value.is_empty() && ends_with_key(chain, last) {
                    return Err(NO_DATA);
                }
                sight = Sight::Behind(last.saturating_add(1));
            }
            (_, Spot::Page { .. }) => {}
        }
    }
    Ok(records.len())
}

fn is_bare_link(chain: &Bucket, node: usize) -> bool {
    chain.nodes.get(node).is_some_and(|node| {
        let page = node.page.view();
        page.entries() == 2 && page.link().is_some()
    })
}

/// Whether the last page of a big pair has only the end of the key.
fn ends_with_key(chain: &Bucket, node: usize) -> bool {
    chain.nodes.get(node).is_some_and(|node| node.page.view().big_mark() == Some(FULL_KEY))
}
