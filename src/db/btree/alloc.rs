//! Allocates and frees pages: the free list, and overflow chains.
//!
//! Everything is planned first ([`Plan`]). A page comes from the head of the free list or from behind the
//! end of the file. A page that a search reaches is in use, whatever the list says.
//!
//! Source: `__bt_new()` and `__bt_free()` in lib/libc/db/btree/bt_page.c, bt_overflow.c.

use super::super::file::PageFile;
use super::super::{EngineError, Fault};
use super::big::length;
use super::edit::overflow_page;
use super::header::ROOT;
use super::page::{Chain, Field, HEADER, Kind, Page};
use super::store::{Plan, Store};

impl<F: PageFile> Store<F> {
    /// Allocates a page for the plan: the head of the free list, or one behind the end of the file.
    pub(super) fn allocate(&mut self, plan: &mut Plan) -> Result<u32, EngineError> {
        let number = match plan.free {
            0 => {
                let number = plan.pages;
                plan.pages = number.checked_add(1).ok_or(EngineError::Refused("file is full"))?;
                number
            }
            _ => self.take_free(plan)?,
        };
        plan.taken.push(number);
        Ok(number)
    }

    /// Takes the head of the free list.
    fn take_free(&mut self, plan: &mut Plan) -> Result<u32, EngineError> {
        let number = plan.free;
        let taken = plan.taken.contains(&number) || self.fresh.contains(&number);
        if number <= ROOT || number >= self.pages || taken {
            let fault = Fault::BadPage("on the free list, but cannot be free");
            return Err(fault.on(number).into());
        }
        let bytes = self.read(number)?;
        if self.is_in_tree(number, &bytes)? {
            let fault = Fault::BadPage("on the free list, but in use or listed twice");
            return Err(fault.on(number).into());
        }
        // A freed page may contain anything, except for its link.
        plan.free = self.layout().order.u32_at(&bytes, 8).unwrap_or_default();
        Ok(number)
    }

    /// Whether a search for the first key on a page reaches that page, which is then in use. A freed page
    /// keeps its items, but nothing leads to it.
    fn is_in_tree(&mut self, number: u32, bytes: &[u8]) -> Result<bool, EngineError> {
        let Ok(page) = Page::parse(bytes, self.layout(), number) else {
            return Ok(false);
        };
        let first = match page.kind {
            Kind::Leaf => page.pair(0).map(|pair| pair.key),
            Kind::Internal => page.child(0).map(|child| child.key),
            _ => return Ok(false),
        };
        let Ok(Field::Here(key)) = first else {
            return Ok(false);
        };
        let path = self.descend(key)?;
        Ok(path.leaf == number || path.steps.iter().any(|step| step.page == number))
    }

    /// Plans an overflow chain for a big key or value.
    pub(super) fn spill(&mut self, plan: &mut Plan, bytes: &[u8]) -> Result<Chain, EngineError> {
        let too_big = EngineError::Refused("key or value is too big");
        let size = u32::try_from(bytes.len()).map_err(|_| too_big)?;
        let layout = self.layout();
        self.overflow_pages = Some(true);
        let mut next = 0;
        // From the end, so that each page knows the one that follows it.
        let payload = layout.page_size.saturating_sub(HEADER).max(1);
        for piece in bytes.chunks(payload).rev() {
            let number = self.allocate(plan)?;
            plan.fresh.push((number, overflow_page(layout, number, next, piece)));
            next = number;
        }
        Ok(Chain { first: next, size })
    }

    /// Plans to free a chain, unless an internal page needs it.
    pub(super) fn release_chain(
        &mut self,
        plan: &mut Plan,
        chain: Chain,
    ) -> Result<(), EngineError> {
        let mut numbers = Vec::new();
        let mut number = chain.first;
        for _ in 0..length(chain.size, self.layout()).max(1) {
            let bytes = self.read(number)?;
            let page = Page::parse(&bytes, self.layout(), number)?;
            match page.kind {
                Kind::Overflow if !numbers.contains(&number) => numbers.push(number),
                Kind::PreservedOverflow if numbers.is_empty() => return Ok(()),
                _ => {
                    let fault =
                        Fault::BadBigPair("its chain leads to a page that is not an overflow page");
                    return Err(fault.on(number).into());
                }
            }
            number = page.next;
        }
        plan.released.extend(numbers);
        Ok(())
    }
}
