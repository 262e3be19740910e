//! Makes spamd databases with the library's own writer, for the demonstration and for the benches.
//!
//! ```text
//! cargo run --release --example generate -- sample FILE
//! cargo run --release --example generate -- hash|btree FILE TUPLES [measured|crowded [PAGE-SIZE]]
//! ```
//!
//! The first makes the sample for the demonstration. The second makes the database of a busy mail exchanger
//! with this many tuples. The kinds of hosts are distributed as measured at a real site, which gives some
//! 630,000 hosts for a million tuples; or many hosts try repeatedly, which gives 250,000. A million tuples
//! on 16384-byte pages, as on a default file system of OpenBSD, take about 170 MB.

#[path = "support/population.rs"]
mod population;
#[path = "support/sample.rs"]
#[allow(dead_code, reason = "the demonstration enters more")]
mod sample;

use greytrapper::db::{Engine, EngineError, btree, hash};
use greytrapper::spamd::Gdata;
use std::error::Error;
use std::fs::File;

/// spamd's page size on a default file system of OpenBSD.
const PAGE_SIZE: u32 = 16_384;
/// The sample must be small, since it is part of the demonstration.
const SAMPLE_PAGE_SIZE: u32 = 2_048;

const USAGE: &str =
    "usage: generate sample FILE | hash|btree FILE TUPLES [measured|crowded [PAGE-SIZE]]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["sample", file] => {
            let mut engine = create("hash", file, SAMPLE_PAGE_SIZE)?;
            for record in sample::records() {
                enter(engine.as_mut(), record)?;
            }
            Ok(engine.close()?)
        }
        [format @ ("hash" | "btree"), file, tuples, ref rest @ ..] => {
            let mix = match rest.first() {
                None | Some(&"measured") => population::MEASURED,
                Some(&"crowded") => population::CROWDED,
                Some(_) => return Err(USAGE.into()),
            };
            let page_size = rest.get(1).map_or(Ok(PAGE_SIZE), |size| size.parse())?;
            let mut engine = create(format, file, page_size)?;
            population::populate(mix, tuples.parse()?, |record| enter(engine.as_mut(), record))?;
            Ok(engine.close()?)
        }
        _ => Err(USAGE.into()),
    }
}

fn create(format: &str, file: &str, page_size: u32) -> Result<Box<dyn Engine>, Box<dyn Error>> {
    let file = File::options().read(true).write(true).create_new(true).open(file)?;
    Ok(match format {
        "btree" => Box::new(btree::Writer::create(file, page_size)?),
        _ => Box::new(hash::Writer::create(file, page_size)?),
    })
}

fn enter(engine: &mut dyn Engine, (key, data): (Vec<u8>, Gdata)) -> Result<(), EngineError> {
    let value = data.encode(engine.byte_order());
    engine.put(&key, &value)
}
