//! One domain's lookup: answers in, the next questions or the verdict out. No input or output here.
//!
//! MX first; where there is none, A and AAAA at once (RFC 5321 5.1).
#![forbid(unsafe_code)]

use domain::base::Rtype;

use super::answer::{Answer, Data};
use super::failure::Failure;
use super::verdict::{Bad, DomainVerdict, Good};

/// A lookup under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Waiting for MX.
    Mx,
    /// Waiting for A and AAAA; the MX answer's TTL.
    Addresses(u32),
    /// One of them is known: no address, for so many seconds, or why it is not known.
    Half(Result<u32, Failure>),
    /// The verdict is out.
    Done,
}

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask for these types of the same name.
    Ask(&'static [Rtype]),
    /// Wait for the other answer, or ignore this one.
    Wait,
    /// The verdict and how many seconds it holds.
    Done(DomainVerdict, u32),
}

/// What the first question is.
pub const FIRST: Rtype = Rtype::MX;

impl Lookup {
    /// Takes the answer to one of the questions.
    pub fn answered(&mut self, answer: Result<&Answer, Failure>) -> Step {
        let step = match *self {
            Self::Mx => mx(answer),
            Self::Addresses(ttl) => match address(answer) {
                Half::Known(step) => step,
                Half::None(other) => {
                    *self = Self::Half(other.map(|other| other.min(ttl)));
                    return Step::Wait;
                }
            },
            Self::Half(first) => match address(answer) {
                Half::Known(step) => step,
                Half::None(second) => neither(first, second),
            },
            Self::Done => Step::Wait,
        };
        *self = match step {
            Step::Ask(_) => Self::Addresses(answer.map_or(0, |a| a.ttl)),
            Step::Done(..) => Self::Done,
            Step::Wait => *self,
        };
        step
    }
}

fn mx(answer: Result<&Answer, Failure>) -> Step {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return unknown(failure),
    };
    let verdict = match answer.data {
        Data::Exchange => DomainVerdict::Good(Good::Mx),
        Data::NullExchange => DomainVerdict::Bad(Bad::NullMx),
        Data::NxDomain => DomainVerdict::Bad(Bad::NxDomain),
        Data::NoData => return Step::Ask(&[Rtype::A, Rtype::AAAA]),
        Data::Addresses(_) | Data::Names(_) | Data::Other => return unknown(Failure::Malformed),
    };
    Step::Done(verdict, answer.ttl)
}

/// What the answer to A or AAAA means by itself.
enum Half {
    Known(Step),
    None(Result<u32, Failure>),
}

fn address(answer: Result<&Answer, Failure>) -> Half {
    match answer {
        Ok(Answer { ttl, data: Data::Addresses(_) }) => {
            Half::Known(Step::Done(DomainVerdict::Good(Good::Address), *ttl))
        }
        // NXDOMAIN after NODATA for MX contradicts it in words, yet there is no address either way.
        Ok(Answer { ttl, data: Data::NoData | Data::NxDomain }) => Half::None(Ok(*ttl)),
        Ok(_) => Half::None(Err(Failure::Malformed)),
        Err(failure) => Half::None(Err(failure)),
    }
}

fn neither(first: Result<u32, Failure>, second: Result<u32, Failure>) -> Step {
    match (first, second) {
        (Ok(a), Ok(b)) => Step::Done(DomainVerdict::Bad(Bad::NoMxOrAddress), a.min(b)),
        (Err(failure), _) | (_, Err(failure)) => unknown(failure),
    }
}

fn unknown(failure: Failure) -> Step {
    Step::Done(DomainVerdict::Unknown(failure), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::answer::List;
    use domain::base::iana::OptRcode;

    fn answer(data: Data, ttl: u32) -> Result<Answer, Failure> {
        Ok(Answer { ttl, data })
    }

    fn address() -> Result<Answer, Failure> {
        answer(Data::Addresses(List { items: vec![[192, 0, 2, 1].into()], more: false }), 7)
    }

    fn run(answers: &[Result<Answer, Failure>]) -> Option<(DomainVerdict, u32)> {
        let mut lookup = Lookup::Mx;
        answers.iter().find_map(|answer| match lookup.answered(answer.as_ref().map_err(|e| *e)) {
            Step::Done(verdict, ttl) => Some((verdict, ttl)),
            Step::Ask(_) | Step::Wait => None,
        })
    }

    /// design's table, a row each.
    #[test]
    fn the_table() {
        use Data::{Exchange, NoData, NullExchange, NxDomain};
        let servfail = Failure::Rcode(OptRcode::SERVFAIL);
        let good = |why, ttl| Some((DomainVerdict::Good(why), ttl));
        let bad = |why, ttl| Some((DomainVerdict::Bad(why), ttl));
        let unknown = |why| Some((DomainVerdict::Unknown(why), 0));
        let no = |ttl| answer(NoData, ttl);
        for (answers, verdict) in [
            (vec![answer(Exchange, 5)], good(Good::Mx, 5)),
            (vec![answer(NullExchange, 6)], bad(Bad::NullMx, 6)),
            (vec![answer(NxDomain, 6)], bad(Bad::NxDomain, 6)),
            (vec![no(9), address()], good(Good::Address, 7)),
            (vec![no(9), no(9), address()], good(Good::Address, 7)),
            (vec![no(9), Err(servfail), address()], good(Good::Address, 7)),
            (vec![no(4), no(9), no(8)], bad(Bad::NoMxOrAddress, 4)),
            (vec![no(9), answer(NxDomain, 3), no(8)], bad(Bad::NoMxOrAddress, 3)),
            (vec![no(9), no(9), Err(servfail)], unknown(servfail)),
            (vec![no(9), Err(Failure::Timeout), no(9)], unknown(Failure::Timeout)),
            (vec![Err(servfail)], unknown(servfail)),
            (vec![no(9), no(9)], None),
        ] {
            assert_eq!(run(&answers), verdict, "{answers:?}");
        }
    }

    #[test]
    fn addresses_are_asked_together_and_late_answers_ignored() {
        let mut lookup = Lookup::Mx;
        let nodata = answer(Data::NoData, 1);
        let step = lookup.answered(nodata.as_ref().map_err(|e| *e));
        assert_eq!(step, Step::Ask(&[Rtype::A, Rtype::AAAA]));
        assert!(matches!(lookup.answered(address().as_ref().map_err(|e| *e)), Step::Done(..)));
        assert_eq!(lookup.answered(Err(Failure::Timeout)), Step::Wait);
    }
}
