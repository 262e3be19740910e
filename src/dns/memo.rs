//! Answers that several claims need: big senders share their policies.
//!
//! What was found is kept as long as DNS allows. What was not found, or has no answer, is kept for one scan
//! only, with the server that said so: the next scan may find that this server is not to be believed.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use domain::base::Rtype;

use super::answer::{Answer, Data};
use super::cache::Bounds;
use super::failure::Failure;
use super::kept::Kept;
use super::name::Name;

/// No answer is kept for longer, and no scan takes longer.
const MOST: Duration = Duration::from_secs(3600);

/// An answer, and the number of the server that gave it.
pub(super) type Told = Result<(Answer, usize), Failure>;

/// See the module.
#[derive(Debug)]
pub(super) struct Memo {
    found: Kept<(Answer, usize)>,
    /// For this scan only.
    passing: Kept<Told>,
    bounds: Bounds,
}

impl Memo {
    /// An empty memo.
    pub fn new(bounds: Bounds) -> Self {
        Self { found: Kept::new(bounds), passing: Kept::new(bounds), bounds }
    }

    /// A scan begins.
    pub fn begin_scan(&mut self) {
        self.passing = Kept::new(self.bounds);
    }

    /// The answer to a question, if it is known, with the time that is left to it.
    pub fn find(&self, name: &Name, rtype: Rtype, now: Instant) -> Option<Told> {
        let key = key(name, rtype);
        let Some(((answer, server), left)) = self.found.find_with_time(&key, now) else {
            return self.passing.find(&key, now).cloned();
        };
        let left = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
        let ttl = answer.ttl.min(left);
        Some(Ok((Answer { ttl, ..answer.clone() }, *server)))
    }

    /// Notes the answer to a question.
    pub fn note(&mut self, name: &Name, rtype: Rtype, told: Told, now: Instant) {
        let key = key(name, rtype);
        let octets = told.as_ref().map_or(0, |(answer, _)| octets(&answer.data));
        match told {
            Ok((answer, server)) if !answer.is_denial() && answer.ttl > 0 => {
                let ttl = Duration::from_secs(answer.ttl.into()).min(MOST);
                self.found.insert(&key, (answer, server), octets, ttl, now);
            }
            told => self.passing.insert(&key, told, octets, MOST, now),
        }
    }
}

fn key(name: &Name, rtype: Rtype) -> Vec<u8> {
    [name.wire(), &rtype.to_int().to_be_bytes()].concat()
}

/// The size of what an answer points to, roughly.
fn octets(data: &Data) -> usize {
    match data {
        Data::Addresses(list) => list.items.len() * size_of::<std::net::IpAddr>(),
        Data::Exchange(list) | Data::Names(list) => {
            list.items.iter().map(|name| name.wire().len() + size_of::<Name>()).sum()
        }
        Data::Texts(list) => list.items.iter().map(Vec::len).sum(),
        Data::NullExchange | Data::Other | Data::NoData | Data::NxDomain => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::List;
    use super::*;

    #[test]
    fn what_is_not_there_is_asked_for_again_in_the_next_scan() {
        let mut memo = Memo::new(Bounds::default());
        let name = |text: &str| Name::from_domain(text.as_bytes()).unwrap();
        let texts = Data::Texts(List { items: vec![b"v=spf1 -all".to_vec()], more: false });
        let told = [
            ("a.example", Ok((Answer { ttl: 60, data: texts.clone() }, 1))),
            ("brief.example", Ok((Answer { ttl: 0, data: texts }, 1))),
            ("gone.example", Ok((Answer { ttl: 60, data: Data::NxDomain }, 2))),
            ("mute.example", Err(Failure::Timeout)),
        ];
        let now = Instant::now();
        for (text, told) in &told {
            memo.note(&name(text), Rtype::TXT, told.clone(), now);
            assert_eq!(memo.find(&name(text), Rtype::TXT, now).as_ref(), Some(told), "{text}");
            assert_eq!(memo.find(&name(text), Rtype::MX, now), None, "{text}");
        }
        let after = |seconds| {
            let told =
                memo.find(&name("a.example"), Rtype::TXT, now + Duration::from_secs(seconds));
            told.map(|told| told.unwrap().0.ttl)
        };
        assert_eq!((after(20), after(60)), (Some(40), None));
        memo.begin_scan();
        let known =
            told.iter().filter(|(text, _)| memo.find(&name(text), Rtype::TXT, now).is_some());
        assert_eq!(known.map(|(text, _)| *text).collect::<Vec<_>>(), ["a.example"]);
    }
}
