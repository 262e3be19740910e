//! Lays out a pair that is too large for one page, as `__big_insert()` in lib/libc/db/hash/hash_bigkey.c
//! does.
//!
//! The parts of the key come first, each on its own page; the data begins after the end of the key if a
//! byte is free there, and continues on further pages. Only a free byte shows that all data is on the page
//! with the end of the key, so data that would fill the page exactly goes to the next page.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::edit::{BIG_OVERHEAD, PageBuf};
use super::page::{FULL_KEY, FULL_KEY_DATA, PARTIAL_KEY};
use crate::db::ByteOrder;

/// The pages that a big pair takes, with room for links but without addresses. If all data is on the page
/// with the end of the key, a blank page follows.
///
/// The value must not be empty: libc cannot read such a pair back if its key ends with a page.
pub fn pages(key: &[u8], value: &[u8], size: usize, order: ByteOrder) -> Vec<PageBuf> {
    let blank = PageBuf::blank(size, order);
    let room = usize::from(blank.view().free()).saturating_sub(BIG_OVERHEAD);
    let mut pages: Vec<PageBuf> = key
        .chunks(room)
        .map(|part| {
            let mut page = blank.clone();
            page.put_part(part, PARTIAL_KEY);
            page.link(0);
            page
        })
        .collect();
    let rest = pages.last_mut().map_or(value, |last| begin_data(last, value));
    if rest.is_empty() {
        pages.push(blank);
        return pages;
    }
    // If the first part were everything and filled its page, no byte would be free.
    let first =
        if rest.len() == value.len() && rest.len() == room { room.saturating_sub(1) } else { room };
    let (first, more) = rest.split_at_checked(first).unwrap_or((rest, &[]));
    for part in std::iter::once(first).chain(more.chunks(room)) {
        let mut page = blank.clone();
        page.put_part(part, FULL_KEY);
        page.link(0);
        pages.push(page);
    }
    if let (Some(last), Some(part)) = (pages.last_mut(), more.chunks(room).last().or(Some(first))) {
        *last = blank;
        last.put_part(part, FULL_KEY_DATA);
    }
    pages
}

/// Puts as much of the data as fits after the end of the key; returns the rest.
fn begin_data<'v>(page: &mut PageBuf, value: &'v [u8]) -> &'v [u8] {
    let space = usize::from(page.view().free());
    if space == 0 || space == value.len() {
        page.set_mark(FULL_KEY);
        return value;
    }
    let (part, rest) = value.split_at_checked(space).unwrap_or((value, &[]));
    page.put_data_below_key(part);
    page.set_mark(FULL_KEY_DATA);
    rest
}
