//! The lookup of one domain. In: answers. Out: the next questions, or the verdict. This module does no
//! input or output.
//!
//! MX comes first. If there is none, or the whole name is denied, A and AAAA follow together (RFC 5321
//! 5.1), since some servers deny a name for one type and have it for another.
#![forbid(unsafe_code)]

use domain::base::Rtype;

use super::answer::{Answer, Data};
use super::failure::Failure;
use super::verdict::{Bad, DomainVerdict, Good};

/// The state of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Waiting for MX.
    Mx,
    /// Waiting for A and AAAA; with the result for MX.
    Addresses(No),
    /// One of them is answered; with the result so far, or why it is unknown.
    Half(Result<No, Failure>),
    /// The verdict has been returned.
    Done,
}

/// The denials so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct No {
    /// Whether each denied the whole name.
    is_gone: bool,
    /// For how many seconds all of them are valid.
    ttl: u32,
}

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask for these types with the same name.
    Ask(&'static [Rtype]),
    /// Wait for the other answer, or ignore this one.
    Wait,
    /// The verdict, and how many seconds it is valid.
    Done(DomainVerdict, u32),
}

/// The type of the first question.
pub const FIRST: Rtype = Rtype::MX;

impl Lookup {
    /// Takes the answer to one of the questions.
    pub fn answered(&mut self, answer: Result<&Answer, Failure>) -> Step {
        let (next, step) = match *self {
            Self::Mx => mx(answer),
            Self::Addresses(no) => match address(answer) {
                Half::Known(step) => (Self::Done, step),
                Half::None(other) => (Self::Half(other.map(|other| no.and(other))), Step::Wait),
            },
            Self::Half(first) => match address(answer) {
                Half::Known(step) => (Self::Done, step),
                Half::None(second) => (Self::Done, neither(first, second)),
            },
            Self::Done => (Self::Done, Step::Wait),
        };
        *self = next;
        step
    }
}

impl No {
    fn and(self, other: Self) -> Self {
        Self { is_gone: self.is_gone && other.is_gone, ttl: self.ttl.min(other.ttl) }
    }
}

fn mx(answer: Result<&Answer, Failure>) -> (Lookup, Step) {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return (Lookup::Done, unknown(failure)),
    };
    let is_gone = answer.data == Data::NxDomain;
    let step = match answer.data {
        Data::Exchange(_) => Step::Done(DomainVerdict::Good(Good::Mx), answer.ttl),
        Data::NullExchange => Step::Done(DomainVerdict::Bad(Bad::NullMx), answer.ttl),
        Data::NxDomain | Data::NoData => {
            let no = No { is_gone, ttl: answer.ttl };
            return (Lookup::Addresses(no), Step::Ask(&[Rtype::A, Rtype::AAAA]));
        }
        Data::Addresses(_) | Data::Names(_) | Data::Texts(_) | Data::Other => {
            unknown(Failure::Malformed)
        }
    };
    (Lookup::Done, step)
}

/// What the answer to A or AAAA means.
enum Half {
    Known(Step),
    None(Result<No, Failure>),
}

fn address(answer: Result<&Answer, Failure>) -> Half {
    match answer {
        Ok(Answer { ttl, data: Data::Addresses(_) }) => {
            Half::Known(Step::Done(DomainVerdict::Good(Good::Address), *ttl))
        }
        Ok(answer) if answer.is_denial() => {
            Half::None(Ok(No { is_gone: answer.data == Data::NxDomain, ttl: answer.ttl }))
        }
        Ok(_) => Half::None(Err(Failure::Malformed)),
        Err(failure) => Half::None(Err(failure)),
    }
}

fn neither(first: Result<No, Failure>, second: Result<No, Failure>) -> Step {
    match (first, second) {
        (Ok(first), Ok(second)) => {
            let no = first.and(second);
            let bad = if no.is_gone { Bad::NxDomain } else { Bad::NoMxOrAddress };
            Step::Done(DomainVerdict::Bad(bad), no.ttl)
        }
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

    /// The table of answers and verdicts, row by row.
    #[test]
    fn the_table() {
        use Data::{NoData, NullExchange, NxDomain};
        let exchange = Data::Exchange(List { items: Vec::new(), more: false });
        let servfail = Failure::Rcode(OptRcode::SERVFAIL);
        let good = |why, ttl| Some((DomainVerdict::Good(why), ttl));
        let bad = |why, ttl| Some((DomainVerdict::Bad(why), ttl));
        let unknown = |why| Some((DomainVerdict::Unknown(why), 0));
        let no = |ttl| answer(NoData, ttl);
        let gone = |ttl| answer(NxDomain, ttl);
        for (answers, verdict) in [
            (vec![answer(exchange, 5)], good(Good::Mx, 5)),
            (vec![answer(NullExchange, 6)], bad(Bad::NullMx, 6)),
            (vec![gone(6), gone(5), gone(9)], bad(Bad::NxDomain, 5)),
            // Servers that deny the whole name if they lack one type.
            (vec![gone(6), address()], good(Good::Address, 7)),
            (vec![gone(6), gone(6), address()], good(Good::Address, 7)),
            (vec![gone(6), no(5), gone(9)], bad(Bad::NoMxOrAddress, 5)),
            (vec![gone(6), gone(6), Err(servfail)], unknown(servfail)),
            (vec![gone(6), Err(Failure::Timeout), gone(6)], unknown(Failure::Timeout)),
            (vec![gone(6), gone(6)], None),
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
