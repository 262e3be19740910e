//! Records as spamd writes them, and a database made of them.

use greytrapper::db::Engine;
use greytrapper::db::database::Database;
use greytrapper::db::lock::{Creation, Wait};
use greytrapper::spamd::record::{Gdata, PCOUNT_SPAMTRAP, PCOUNT_TRAPPED};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// A key and what its value says.
pub type Record = (String, Gdata);

/// spamd's default lifetime of a GREY record (`GREYEXP`, libexec/spamd/grey.h).
const GREYEXP: i64 = 4 * 60 * 60;
/// The same of a WHITE one (`WHITEEXP`).
const WHITEEXP: i64 = 36 * 24 * 60 * 60;
/// The same of a TRAPPED one (`TRAPEXP`).
const TRAPEXP: i64 = 24 * 60 * 60;

/// Seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

/// A delivery that was greylisted a minute ago; sender and recipient without brackets.
pub fn grey(address: &str, helo: &str, from: &str, to: &str) -> Record {
    let first = now() - 60;
    let expire = first + GREYEXP;
    let data = Gdata { first, pass: expire, expire, bcount: 1, pcount: 0 };
    (format!("{address}\n{helo}\n<{from}>\n<{to}>"), data)
}

/// A host that may pass.
pub fn white(address: &str) -> Record {
    let first = now() - 60;
    let expire = first + WHITEEXP;
    (address.into(), Gdata { first, pass: first, expire, bcount: 1, pcount: 1 })
}

/// A host in a trap.
pub fn trapped(address: &str) -> Record {
    let first = now() - 60;
    let expire = first + TRAPEXP;
    (address.into(), Gdata { first, pass: first, expire, bcount: 1, pcount: PCOUNT_TRAPPED })
}

/// An address whose senders spamd traps by itself.
pub fn spamtrap(address: &str) -> Record {
    (address.into(), Gdata { pcount: PCOUNT_SPAMTRAP, ..Gdata::default() })
}

/// The n-th of many hosts, in 10/8.
pub fn host(n: u32) -> String {
    std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).to_string()
}

/// So many hosts with a tuple each that has an invalid sender.
pub fn invalid_senders(count: u32) -> Vec<Record> {
    (1..=count).map(|n| grey(&host(n), "h.example", "no domain", "user@example.org")).collect()
}

/// Enters records into a database, which is made if there is none.
pub fn enter(path: &Path, records: &[Record]) {
    let mut ignored = || ();
    let mut database = Database::new(path, Creation::IfMissing);
    let mut put = |engine: &mut dyn Engine, (key, data): &Record| {
        let order = engine.byte_order();
        engine.put(key.as_bytes(), &data.encode(order))
    };
    database.in_batches(records, &mut Wait::usual(&mut ignored), &mut put).whole().unwrap();
    if records.is_empty() {
        std::fs::File::options().create(true).append(true).open(path).unwrap();
    }
}
