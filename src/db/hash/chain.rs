//! The chain of pages of one bucket, read into memory for changes.
//!
//! The writer loads it and checks every page before it changes any; [`Bucket::records`] has the place of
//! each pair.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::edit::PageBuf;
use super::walk::{Chain, Place, Source};
use crate::db::{Damage, Fault, Record};

/// A page of the chain.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its number, from the beginning of the file.
    pub number: u32,
    /// Its overflow address; `None` for the bucket's own page.
    pub address: Option<u16>,
    /// Its contents.
    pub page: PageBuf,
}

/// A whole chain, beginning with the bucket's own page.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Its pages.
    pub nodes: Vec<Node>,
}

/// The place of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// On one page, in the entries from `index`.
    Page {
        /// Which page of the chain.
        node: usize,
        /// The first of its two entries.
        index: usize,
    },
    /// A big pair, alone on its pages.
    Big {
        /// Its first page.
        first: usize,
        /// Its last page.
        last: usize,
    },
}

impl Bucket {
    /// The last page, where libc puts a pair if it did not find its key in the chain.
    pub fn last(&self) -> &[Node] {
        self.nodes.get(self.nodes.len().saturating_sub(1)..).unwrap_or_default()
    }

    /// Every pair in the chain, in order, with its place.
    pub fn records(&self) -> Result<Vec<(Spot, Record<'_>)>, Damage> {
        let mut records = Vec::new();
        let mut at = 0;
        while let Some(node) = self.nodes.get(at) {
            if node.page.view().big_mark().is_some() {
                let (last, record) = self.big(at)?;
                records.push((Spot::Big { first: at, last }, record));
                at = last;
            } else {
                for (pair, index) in node.page.view().pairs().zip((1..).step_by(2)) {
                    let (key, value) = pair.map_err(|fault| fault.on(node.number))?;
                    let record = Record { key: key.into(), value: value.into() };
                    records.push((Spot::Page { node: at, index }, record));
                }
            }
            at = at.saturating_add(1);
        }
        Ok(records)
    }

    fn big(&self, first: usize) -> Result<(usize, Record<'_>), Damage> {
        let mut rest = Rest { nodes: &self.nodes, last: first };
        let head = rest.place(first)?;
        match Chain::new(head).next(&mut rest) {
            Some(Ok(record)) => {
                // A pair without data may have been followed one page too far.
                let part = self.nodes.get(rest.last).is_some_and(|node| {
                    rest.last == first || node.page.view().big_mark().is_some()
                });
                Ok((if part { rest.last } else { rest.last.saturating_sub(1) }, record))
            }
            Some(Err(damage)) => Err(damage),
            None => Err(Fault::BadBigPair("has no pages").on(head.number)),
        }
    }
}

/// The pages of a big pair after the first, in order.
struct Rest<'a> {
    nodes: &'a [Node],
    last: usize,
}

impl<'a> Rest<'a> {
    fn place(&self, at: usize) -> Result<Place<'a>, Damage> {
        let node = self.nodes.get(at).ok_or(Fault::BeyondEnd.on(0))?;
        Ok(Place { number: node.number, page: node.page.view() })
    }
}

impl<'a> Source<'a> for Rest<'a> {
    fn follow(&mut self, from: u32, address: u16) -> Result<Place<'a>, Damage> {
        let next = self.last.saturating_add(1);
        match self.nodes.get(next) {
            Some(node) if node.address == Some(address) => {
                self.last = next;
                self.place(next)
            }
            _ => Err(Fault::BadLink.on(from)),
        }
    }
}
