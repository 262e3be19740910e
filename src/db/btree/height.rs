//! How many levels a tree has: a put may split a page on each of them.
//!
//! In: a file that libc has written completely. Out: a number with which `db::libc` makes sure that there is
//! room.

use super::header::{Meta, ROOT};
use super::page::{Kind, Page};
use crate::db::file::PageFile;
use crate::db::{EngineError, Fault};

/// More levels than any tree has: each holds at least one page.
const MOST: u64 = 64;

/// The number of levels, counting that of the leaves, all of which are equally deep.
///
/// # Errors
///
/// The file cannot be read, or the first pages of its levels are not those of a tree.
pub fn height(file: &impl PageFile) -> Result<u64, EngineError> {
    let mut head = [0; Meta::SIZE];
    file.read_at(&mut head, 0)?;
    let layout = Meta::decode(&head)?.layout;
    let mut bytes = vec![0; layout.page_size];
    let mut number = ROOT;
    for level in 1..=MOST {
        file.read_at(&mut bytes, u64::from(number).saturating_mul(layout.page_size as u64))?;
        let page = Page::parse(&bytes, layout, number)?;
        if page.kind != Kind::Internal {
            return Ok(level);
        }
        number = page.child(0)?.page;
    }
    Err(Fault::BadLink.on(number).into())
}
