//! Whether a domain's own mail hosts include a host: its MX, or the domain itself. In: answers. Out:
//! questions and the result. This module does no input or output.
//!
//! MX and the domain's addresses are asked for together, then the addresses of at most [`MAX_EXCHANGES`] MX
//! names. A name that any network may give to its hosts ([`crate::name::is_local`]) includes nobody,
//! whatever a resolver says.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use domain::base::Rtype;

use super::answer::{Answer, Data, List};
use super::failure::Failure;
use super::identity::Ask;
use super::name::Name;

/// The number of MX names whose addresses are asked for.
pub const MAX_EXCHANGES: usize = 10;

/// Whether a domain's mail hosts include a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// An MX has its address.
    Mx,
    /// The domain has its address.
    Address,
    /// Neither.
    No,
    /// It is unknown.
    Unknown,
}

/// The questions about one domain and one host.
#[derive(Debug)]
pub struct MailHosts {
    address: IpAddr,
    questions: Vec<Question>,
    /// The number of unanswered questions.
    open: usize,
    /// The result of the answers so far.
    found: Membership,
    /// For how many seconds they are valid.
    ttl: u32,
}

#[derive(Debug)]
struct Question {
    name: Name,
    rtype: Rtype,
    is_answered: bool,
}

/// The number of the MX question.
const MX: usize = 0;
/// The number of the question about the domain's addresses; those about its MX follow.
const DOMAIN: usize = 1;

impl MailHosts {
    /// Begins with the host and the domain.
    pub fn new(address: IpAddr, domain: &Name) -> (Self, Vec<Ask>) {
        let address = address.to_canonical();
        let (questions, found) = (Vec::new(), Membership::No);
        let mut hosts = Self { address, questions, open: 0, found, ttl: u32::MAX };
        if crate::name::is_local(&domain.text()) {
            return (hosts, Vec::new());
        }
        let asks = [Rtype::MX, hosts.addresses()].map(|rtype| hosts.ask(domain.clone(), rtype));
        (hosts, asks.into())
    }

    /// Takes the answer to question `number`; returns what to ask next.
    pub fn answered(&mut self, number: usize, answer: Result<&Answer, Failure>) -> Vec<Ask> {
        let question = self.questions.get_mut(number).filter(|question| !question.is_answered);
        let Some(question) = question else { return Vec::new() };
        question.is_answered = true;
        self.open = self.open.saturating_sub(1);
        self.ttl = self.ttl.min(answer.map_or(0, |answer| answer.ttl));
        match (number, answer.map(|answer| &answer.data)) {
            (_, Ok(Data::NoData | Data::NxDomain)) | (MX, Ok(Data::NullExchange)) => {}
            (MX, Ok(Data::Exchange(list))) => return self.ask_exchanges(list),
            (DOMAIN.., Ok(Data::Addresses(list))) => self.compare(number, list),
            _ => self.note(Membership::Unknown),
        }
        Vec::new()
    }

    /// The question with this number.
    pub fn question(&self, number: usize) -> Option<(&Name, Rtype)> {
        self.questions.get(number).map(|question| (&question.name, question.rtype))
    }

    /// The result, once no answer can change it, and for how many seconds it is valid.
    pub fn end(&self) -> Option<(Membership, u32)> {
        let is_found = matches!(self.found, Membership::Mx | Membership::Address);
        (is_found || self.open == 0).then_some((self.found, self.ttl))
    }

    fn ask_exchanges(&mut self, list: &List<Name>) -> Vec<Ask> {
        if list.more || list.items.len() > MAX_EXCHANGES {
            self.note(Membership::Unknown);
        }
        let rtype = self.addresses();
        let is_somebodys = |name: &&Name| !crate::name::is_local(&name.text());
        let names = list.items.iter().take(MAX_EXCHANGES).filter(is_somebodys);
        names.map(|name| self.ask(name.clone(), rtype)).collect()
    }

    fn compare(&mut self, number: usize, list: &List<IpAddr>) {
        if list.items.contains(&self.address) {
            self.note(if number == DOMAIN { Membership::Address } else { Membership::Mx });
        } else if list.more {
            self.note(Membership::Unknown);
        }
    }

    /// One match is enough, and a possible one is enough for doubt.
    fn note(&mut self, found: Membership) {
        if !matches!(
            (self.found, found),
            (Membership::Mx | Membership::Address, Membership::Unknown)
        ) {
            self.found = found;
        }
    }

    fn addresses(&self) -> Rtype {
        if self.address.is_ipv4() { Rtype::A } else { Rtype::AAAA }
    }

    fn ask(&mut self, name: Name, rtype: Rtype) -> Ask {
        self.open += 1;
        self.questions.push(Question { name: name.clone(), rtype, is_answered: false });
        Ask { number: self.questions.len() - 1, name, rtype }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result in a world of lines `name type data …`; `?` is a failure, `+` says that there is more.
    /// What has no line does not exist. Also how many questions there were.
    fn ask(host: &str, domain: &str, world: &[&str]) -> (Membership, usize) {
        let domain = Name::from_domain(domain.as_bytes()).unwrap();
        let (mut hosts, mut asks) = MailHosts::new(host.parse().unwrap(), &domain);
        let mut asked = 0;
        while let Some(ask) = asks.pop() {
            if hosts.end().is_some() {
                break;
            }
            asked += 1;
            let key = format!("{:?} {} ", ask.name, ask.rtype);
            let line = world.iter().find_map(|line| line.strip_prefix(key.as_str()));
            let data = line.map_or(Ok(Data::NxDomain), data);
            let answer = data.map(|data| Answer { ttl: 9, data });
            asks.extend(hosts.answered(ask.number, answer.as_ref().map_err(|failure| *failure)));
        }
        (hosts.end().unwrap().0, asked)
    }

    fn data(text: &str) -> Result<Data, Failure> {
        let more = text.ends_with('+');
        let words = || text.split(' ').filter(|word| *word != "+");
        let addresses: Vec<IpAddr> = words().filter_map(|word| word.parse().ok()).collect();
        match text {
            "?" => Err(Failure::Timeout),
            "." => Ok(Data::NullExchange),
            _ if !addresses.is_empty() => Ok(Data::Addresses(List { items: addresses, more })),
            _ => {
                let names = words().map(|word| Name::from_domain(word.as_bytes()).unwrap());
                Ok(Data::Exchange(List { items: names.collect(), more }))
            }
        }
    }

    #[track_caller]
    fn check(world: &[&str], wanted: Membership) {
        assert_eq!(ask("192.0.2.1", "a.example", world).0, wanted, "{world:?}");
    }

    #[test]
    fn mail_hosts_are_the_mx_and_the_domain_itself() {
        use Membership::{Address, Mx, No};
        let mx = "a.example MX mx1.b.example mx2.b.example";
        check(&[mx, "mx2.b.example A 192.0.2.9 192.0.2.1"], Mx);
        check(&[mx, "mx2.b.example A 192.0.2.9", "a.example A 192.0.2.1"], Address);
        check(&[mx, "mx2.b.example A 192.0.2.9", "a.example A 192.0.2.9"], No);
        check(&["a.example MX .", "a.example A 192.0.2.9"], No);
        check(&[], No);
        let six = &["a.example MX mx.b.example", "mx.b.example AAAA 2001:db8::1"];
        assert_eq!(ask("2001:db8::1", "a.example", six).0, Mx);
        assert_eq!(ask("::ffff:192.0.2.1", "a.example", &["a.example A 192.0.2.1"]).0, Address);
    }

    #[test]
    fn no_definite_answer_is_unknown_but_a_match_is_one() {
        use Membership::{Address, Mx, No, Unknown};
        let mx = "a.example MX mx1.b.example mx2.b.example";
        check(&["a.example MX ?"], Unknown);
        check(&["a.example A ?"], Unknown);
        check(&[mx, "mx1.b.example A ?"], Unknown);
        check(&[mx, "mx1.b.example A ?", "mx2.b.example A 192.0.2.1"], Mx);
        check(&["a.example MX ?", "a.example A 192.0.2.1"], Address);
        check(&["a.example A 192.0.2.9 +"], Unknown);
        check(&["a.example MX mx1.b.example +"], Unknown);
        check(&["a.example MX mx.lan", "mx.lan A 192.0.2.1"], No);
        assert_eq!(ask("192.0.2.1", "a.lan", &["a.lan A 192.0.2.1"]), (No, 0));
    }

    #[test]
    fn the_enemy_cannot_make_us_ask_much() {
        let names: Vec<_> = (0..16).map(|n| format!("mx{n}.victim.example")).collect();
        let mx = format!("a.example MX {}", names.join(" "));
        assert_eq!(ask("192.0.2.1", "a.example", &[&mx]), (Membership::Unknown, 2 + MAX_EXCHANGES));
    }
}
