//! What rules have trapped, from the records of a time.

use super::book::{self, Book};
use super::error::Error;
use super::key::{self, Place, TUPLES, VERDICTS};
use super::record::{self, Kept};
use super::store::Store;
use redb::ReadableDatabase;

impl Store {
    /// What rules have trapped since a time, and whether that was right.
    ///
    /// # Errors
    /// Those of the file.
    pub fn book(&self, since: i64) -> Result<Book, Error> {
        let transaction = self.database.begin_read()?;
        let verdicts = transaction.open_table(VERDICTS)?;
        let tuples = transaction.open_table(TUPLES)?;
        let mut book = Book::default();
        for entry in verdicts.range::<&Place>(&key::place(since, 0)..)? {
            let (place, verdict) = entry?;
            let time = key::time(place.value());
            let Some(mut record) = record::decode(time, verdict.value(), None) else { continue };
            if book::wants_tuples(&record)
                && let Some(kept) = tuples.get(place.value())?
            {
                Kept::complete(kept.value(), &mut record);
            }
            book.note(&record);
        }
        Ok(book)
    }
}
