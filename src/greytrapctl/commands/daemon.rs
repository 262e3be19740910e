//! The commands that only a running greytrapper(8) can answer: asked over its socket.
#![forbid(unsafe_code)]

use super::{adopt, ask, history, monitor, report, show, suggest};
use crate::control::client::{Answer, Error};
use crate::control::protocol;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::{Request, Topic};
use crate::greytrapctl::output::Output;
use std::path::Path;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Because(error.to_string())
    }
}

/// Asks the daemon at `socket`, and prints what it says.
pub fn run(console: &mut Console<'_>, socket: &Path, request: &Request) -> Result<(), Failure> {
    let file = match request {
        Request::Report(report) => report.page.as_deref(),
        Request::WriteMetrics(file) => Some(&**file),
        _ => None,
    };
    let output = file.map(Output::open).transpose()?;
    let directory = output.as_ref().map(Output::directory);
    Task::Ask { socket, directory, runs: false }.lock_in()?;
    match request {
        Request::Show(Topic::State) => show::state(console, socket),
        Request::Show(Topic::Metrics) | Request::WriteMetrics(_) => {
            show::metrics(console, socket, output)
        }
        Request::Show(Topic::Traps) => show::traps(console, socket),
        Request::Show(Topic::Holds) => show::holds(console, socket),
        Request::Show(Topic::Rules) => show::rules(console, socket),
        Request::Show(Topic::Hosts) => show::hosts(console, socket),
        Request::Explain(address) => show::explain(console, socket, address),
        Request::History(history) => history::run(console, socket, history),
        Request::Monitor(since) => monitor::run(console, socket, *since),
        Request::Report(report) => report::run(console, socket, report.since, output),
        Request::Change(order) => ask::change(console, socket, order),
        Request::Suggest => suggest::run(console, socket),
        Request::Adopt(wish) => adopt::run(console, socket, wish),
        Request::ReleaseOurs(ours) => ask::release_ours(console, socket, ours),
        Request::Order(request) => order(socket, request),
    }
}

/// Asks for something to be done, which has no answer but that it was.
fn order(socket: &Path, request: &protocol::Request) -> Result<(), Failure> {
    let mut answer = Answer::to(request, socket)?;
    match answer.part()? {
        None => Ok(()),
        Some(_) => Err(answer.unexpected().into()),
    }
}
