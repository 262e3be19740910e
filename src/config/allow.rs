//! Exceptions, `allow`: hosts that are never trapped by address or by a HELO name, some of them until a day.
//!
//! Made by `check`. Whoever uses them says now and then what time it is ([`Rules::end_exceptions`]); those
//! whose day is over no longer count, but keep their place, so that it is known where they were written.

use super::origin::{Line, Written};
use super::value::string_text;
use super::{Networks, Rules};
use crate::date::Day;
use crate::name;
use std::fmt;
use std::net::IpAddr;

/// Networks that are exempt until the end of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowUntil {
    /// The last day.
    pub day: Day,
    /// Which.
    pub networks: Networks,
    /// Whether the day is over.
    pub is_over: bool,
}

/// Hosts that are exempt if DNS confirms that this is their name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowHelo {
    /// The name.
    pub name: HeloName,
    /// The last day, if there is one.
    pub day: Option<Day>,
    /// Whether that day is over.
    pub is_over: bool,
}

/// A host name in lower case, or all names below a domain: `*.example.net`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeloName(String);

impl HeloName {
    /// A name with at least two labels that DNS can know, or `*.` and such a name.
    pub fn parse(text: &str) -> Option<HeloName> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let found = name::host_name(name.as_bytes())?;
        let is_public = name.contains('.') && !name::is_local(found);
        let is_whole = found.len() == name.len();
        (is_public && is_whole).then(|| HeloName(text.to_ascii_lowercase()))
    }

    /// Whether this is one of the names; it is in lower case.
    pub fn covers(&self, name: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(end) => name.len() > end.len() && name.ends_with(end),
            None => self.0 == name,
        }
    }
}

impl fmt::Display for HeloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Rules {
    /// Whether an address is exempt.
    pub fn allows(&self, address: IpAddr) -> bool {
        let mut dated = self.allow_until.iter().filter(|until| !until.is_over);
        self.allow.contains(address) || dated.any(|until| until.networks.contains(address))
    }

    /// The entry of `allow` that contains this address.
    pub fn allowing(&self, address: IpAddr) -> Option<Written> {
        if let Some(number) = self.allow.position(address) {
            let network = self.allow.iter().nth(number)?;
            let line = self.origins.allow.get(number);
            return Some(self.origins.written(format!("allow {network}"), line));
        }
        let mut before = 0usize;
        for AllowUntil { day, networks, is_over } in &self.allow_until {
            let found = networks.position(address).filter(|_| !is_over);
            if let Some((number, network)) =
                found.and_then(|number| Some((number, networks.iter().nth(number)?)))
            {
                let line = self.origins.allow_until.get(before.saturating_add(number));
                let statement = format!("allow {network} until {day}");
                return Some(self.origins.written(statement, line));
            }
            before = before.saturating_add(networks.iter().count());
        }
        None
    }

    /// Whether there are exceptions by HELO name.
    pub fn has_allowed_names(&self) -> bool {
        self.allow_helo.iter().any(|allowed| !allowed.is_over)
    }

    /// The entry of `allow helo` that covers this name, which is in lower case.
    pub fn allowing_name(&self, name: &str) -> Option<Written> {
        let mut numbered = self.allow_helo.iter().enumerate();
        let covers = |allowed: &AllowHelo| !allowed.is_over && allowed.name.covers(name);
        let (number, allowed) = numbered.find(|(_, allowed)| covers(allowed))?;
        Some(self.origins.written(allowed.to_string(), self.origins.allow_helo.get(number)))
    }

    /// Every exception that counts, each with its last day.
    pub fn exceptions(&self) -> Vec<(Written, Option<Day>)> {
        let mut all = Vec::new();
        let written = |statement, line: Option<&Line>| self.origins.written(statement, line);
        for (number, network) in self.allow.iter().enumerate() {
            let line = self.origins.allow.get(number);
            all.push((written(format!("allow {network}"), line), None));
        }
        let mut lines = self.origins.allow_until.iter();
        for AllowUntil { day, networks, is_over } in &self.allow_until {
            for network in networks.iter() {
                let statement = format!("allow {network} until {day}");
                let one = (written(statement, lines.next()), Some(*day));
                all.extend((!is_over).then_some(one));
            }
        }
        for (number, allowed) in self.allow_helo.iter().enumerate().filter(|(_, it)| !it.is_over) {
            let line = self.origins.allow_helo.get(number);
            all.push((written(allowed.to_string(), line), allowed.day));
        }
        all
    }

    /// Whether an exception that counts is over at `now`, in seconds since 1970.
    pub fn has_ended_exceptions(&self, now: i64) -> bool {
        let dated = self.allow_until.iter().map(|until| (Some(until.day), until.is_over));
        let named = self.allow_helo.iter().map(|allowed| (allowed.day, allowed.is_over));
        dated.chain(named).any(|(day, is_over)| !is_over && is_past(day, now))
    }

    /// Ends the exceptions whose day is over at `now`, in seconds since 1970.
    pub fn end_exceptions(&mut self, now: i64) {
        for until in &mut self.allow_until {
            until.is_over = is_past(Some(until.day), now);
        }
        for allowed in &mut self.allow_helo {
            allowed.is_over = is_past(allowed.day, now);
        }
    }
}

fn is_past(day: Option<Day>, now: i64) -> bool {
    day.is_some_and(|day| day.end() <= now)
}

/// The statement.
impl fmt::Display for AllowHelo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "allow helo {}", string_text(&self.name.0))?;
        match self.day {
            Some(day) => write!(f, " until {day}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;

    #[test]
    fn names_are_whole_or_below() {
        let covers = |pattern, name| HeloName::parse(pattern).unwrap().covers(name);
        assert!(covers("*.Example.net", "mx.example.net"));
        assert!(covers("*.example.net", "a.b.example.net"));
        assert!(
            !covers("*.example.net", "example.net") && !covers("*.example.net", ".example.net")
        );
        assert!(!covers("*.example.net", "mx.badexample.net"));
        assert!(covers("mx.example.net", "mx.example.net"));
        assert!(!covers("mx.example.net", "a.mx.example.net"));
        for wrong in ["*", "*.net", "net", "a*.example.net", "*.*.example.net", "[192.0.2.1]", ""] {
            assert_eq!(HeloName::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_exception_ends_with_its_day() {
        let text = "allow { 192.0.2.0/24, 198.51.100.7 until 2027-01-31 }\n\
                    allow 198.51.100.0/24 until 2027-03-01\n\
                    allow helo \"*.example.net\" until 2027-01-31\n";
        let mut rules = from_text(text).unwrap().rules;
        let address = |text: &str| text.parse().unwrap();
        let day = |text| Day::parse(text).unwrap();
        rules.end_exceptions(day("2027-01-31").end() - 1);
        assert!(rules.allows(address("198.51.100.7")) && rules.has_allowed_names());
        assert!(!rules.has_ended_exceptions(day("2027-01-31").end() - 1));
        assert!(rules.has_ended_exceptions(day("2027-01-31").end()));
        rules.end_exceptions(day("2027-01-31").end());
        // The wider network goes on, which the narrower one must not hide.
        let written = rules.allowing(address("198.51.100.7")).unwrap().statement;
        assert_eq!(written, "allow 198.51.100.0/24 until 2027-03-01");
        assert!(!rules.has_allowed_names() && rules.allowing_name("mx.example.net").is_none());
        assert_eq!(rules.exceptions().len(), 2);
        rules.end_exceptions(i64::MAX);
        assert!(!rules.allows(address("198.51.100.7")) && rules.allows(address("192.0.2.1")));
        // A clock that was wrong is put right.
        rules.end_exceptions(0);
        assert!(rules.allows(address("198.51.100.7")) && rules.has_allowed_names());
    }
}
