//! `suggest`: recipients that many networks wrote to and no host that passed, as far as the daemon's memory
//! knows.
#![forbid(unsafe_code)]

use crate::control::client::Answer;
use crate::control::protocol::{Reply, Request};
use crate::date::Day;
use crate::escape::escaped;
use crate::evidence::MANY;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::options::Format;
use crate::memory::Suggestion;
use std::path::Path;

/// Asks the daemon at `socket`, and prints every suggestion.
pub fn run(console: &mut Console<'_>, socket: &Path) -> Result<(), Failure> {
    ask(socket, |suggestion| match console.format {
        Format::Json => console.json(&json::Suggestion::from(&suggestion)),
        Format::Text => {
            let Suggestion { recipient, networks, first } = &suggestion;
            let (recipient, networks) = (escaped(recipient), count(*networks));
            console.line(format_args!("{recipient}\t{networks}\t{}", Day::of(*first)))
        }
    })
}

/// Asks the daemon at `socket` for suggestions, and passes each on.
pub fn ask(
    socket: &Path,
    mut take: impl FnMut(Suggestion) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut answer = Answer::to(&Request::Suggest, socket)?;
    while let Some(reply) = answer.part()? {
        let Reply::Suggestion(suggestion) = reply else { return Err(answer.unexpected().into()) };
        take(suggestion)?;
    }
    Ok(())
}

/// A number of networks, of which no more than some are counted.
fn count(networks: usize) -> String {
    if networks >= MANY { format!("{MANY}+") } else { networks.to_string() }
}
