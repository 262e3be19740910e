//! What can be wrong with the structure of a database: one variant for each cause, small and `Copy`, so
//! that a hostile file with many faults does not cause allocations.

use std::fmt;

/// One fault in the structure, and the page where it was found.
///
/// Pages are counted from the beginning of the file, in its own page size; a fault in the header is on page
/// 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The page of the file.
    pub page: u32,
    /// What is wrong there.
    pub fault: Fault,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The magic number is that of neither format.
    NotADatabase,
    /// The file ends within its header or its first page.
    TooShort,
    /// A header field has an invalid value; the name is that in the C header.
    Header(&'static str),
    /// A page that is needed is beyond the end of the file.
    BeyondEnd,
    /// The file ends in the middle of a page.
    Cut,
    /// A chain of pages returns to an earlier page, or is longer than the file.
    Loop,
    /// A link leads to a page that does not exist according to the header.
    BadLink,
    /// Two chains share a page, or one chain visits it twice.
    UsedTwice,
    /// An offset in the page's table is out of bounds.
    BadOffset,
    /// The page's counts or bounds contradict each other.
    BadPage(&'static str),
    /// An update was interrupted by a kill or a crash. No record is lost, and the next writer repairs it:
    /// this is the only fault that does not prevent writing.
    CutShort,
    /// A page that is needed has only zeros: the disk was full when it was to be written.
    Hole,
    /// A pair that spans pages is not laid out correctly.
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
            // The fault concerns the whole file, not a page.
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
            Fault::Hole => f.write_str("a hole in the file"),
            Fault::BadBigPair(what) => write!(f, "big pair: {what}"),
        }
    }
}
