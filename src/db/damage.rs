//! What can be wrong with the structure of a database: one variant a cause, small and `Copy`, so that a
//! hostile file cannot make us allocate by being wrong in many places.

use std::fmt;

/// One fault in the structure, and the page on which it shows.
///
/// `page` counts pages of the file's own page size from its beginning; a fault of the header is on
/// page 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The page of the file.
    pub page: u32,
    /// What is wrong there.
    pub fault: Fault,
}

/// The faults that the readers and the checkers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The magic number is of neither format.
    NotADatabase,
    /// The file ends within its header or its first page.
    TooShort,
    /// A header field holds a value that no file can have; the name is the C header's.
    Header(&'static str),
    /// A page that is needed lies beyond the end of the file.
    BeyondEnd,
    /// The file ends in the middle of a page.
    Cut,
    /// A chain of pages comes back to a page it has been on, or is longer than the file.
    Loop,
    /// A link to a page that the header knows nothing of.
    BadLink,
    /// A page that two chains share, or one chain comes to twice.
    UsedTwice,
    /// An offset in the page's table points where it may not.
    BadOffset,
    /// The page's counts or bounds contradict each other.
    BadPage(&'static str),
    /// An update was cut short, by a kill or a crash. No record is lost, and the next writer mends it:
    /// the one fault that does not forbid writing.
    CutShort,
    /// A pair that spans pages is not put together as it must be.
    BadBigPair(&'static str),
}

impl Fault {
    /// This fault, on that page.
    pub fn on(self, page: u32) -> Damage {
        Damage { page, fault: self }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            // The whole file is meant: no page to name.
            Fault::NotADatabase => self.fault.fmt(f),
            _ => write!(f, "page {}: {}", self.page, self.fault),
        }
    }
}

impl std::error::Error for Damage {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NotADatabase => f.write_str("not a spamd database (neither hash nor btree)"),
            Fault::TooShort => f.write_str("file ends within the header"),
            Fault::Header(field) => write!(f, "invalid {field} in the header"),
            Fault::BeyondEnd => f.write_str("beyond the end of the file"),
            Fault::Cut => f.write_str("file ends in the middle of this page"),
            Fault::Loop => f.write_str("chain of pages loops"),
            Fault::BadLink => f.write_str("link to a page that does not exist"),
            Fault::UsedTwice => f.write_str("used twice"),
            Fault::BadOffset => f.write_str("offset out of place"),
            Fault::BadPage(what) => f.write_str(what),
            Fault::CutShort => {
                f.write_str("an update was interrupted; the next one will repair it")
            }
            Fault::BadBigPair(what) => write!(f, "big pair: {what}"),
        }
    }
}
