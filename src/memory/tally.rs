//! What rules have trapped, from the records of a time.

use super::book::Book;
use super::error::Error;
use super::key::{self, Place, VERDICTS};
use super::record;
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
        let mut book = Book::default();
        for entry in verdicts.range::<&Place>(&key::place(since, 0)..)? {
            let (place, verdict) = entry?;
            let time = key::time(place.value());
            if let Some(record) = record::decode(time, verdict.value(), None) {
                book.note(&record);
            }
        }
        Ok(book)
    }
}
