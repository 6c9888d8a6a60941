//! From TOML to rules.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::accounts::{Accounts, id};
use super::{Layers, NameRule, NamespaceRule, Network, Policy, PolicyError, Rule, Subject};

/// The most rules, and the most items of each list in one.
const MOST_RULES: usize = 256;
const MOST_ITEMS: usize = 64;

/// The MTUs that IPv4 can have.
const MTUS: RangeInclusive<u32> = 68..=65535;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Spanned<Entry>>,
}

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    user: Option<Account>,
    group: Option<Account>,
    names: Vec<String>,
    layers: Option<Vec<Layer>>,
    devices: Option<u32>,
    #[serde(default)]
    addresses: Vec<String>,
    mtu: Option<(u32, u32)>,
    queue_length: Option<(u32, u32)>,
    namespaces: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a name or a number")]
enum Account {
    Number(u32),
    Name(String),
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Layer {
    Tun,
    Tap,
}

impl Policy {
    /// Parses the text of a policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Invalid`] says in which line it makes no sense, and why.
    pub fn parse(text: &str, accounts: &dyn Accounts) -> Result<Self, PolicyError> {
        let stray = text.char_indices().find(|(_, letter)| *letter == '\u{feff}' || *letter == '\0');
        if let Some((offset, _)) = stray {
            return Err(PolicyError::invalid(format!(
                "line {}: a byte order mark, or a NUL",
                line(text, offset)
            )));
        }
        let file: File = toml::from_str(text).map_err(|error| PolicyError::invalid(error.to_string()))?;
        if file.rule.len() > MOST_RULES {
            return Err(PolicyError::invalid(format!("there are more than {MOST_RULES} rules")));
        }
        let mut rules = Vec::new();
        let mut known = HashSet::new();
        for entry in file.rule {
            let line = line(text, entry.span().start);
            let of_line = |why: String| PolicyError::invalid(format!("the rule of line {line}: {why}"));
            let rule = entry.into_inner().rule(accounts).map_err(|problem| match problem {
                Problem::Senseless(why) => of_line(why),
                Problem::Accounts(error) => error,
            })?;
            for name in &rule.names {
                if !known.insert((rule.subject, name.clone())) {
                    return Err(of_line(format!("{} gets the name {name} twice", rule.subject)));
                }
            }
            rules.push(rule);
        }
        Ok(Self { rules })
    }
}

/// Why an entry is no rule.
enum Problem {
    Senseless(String),
    Accounts(PolicyError),
}

impl From<String> for Problem {
    fn from(why: String) -> Self {
        Self::Senseless(why)
    }
}

impl From<&str> for Problem {
    fn from(why: &str) -> Self {
        Self::Senseless(why.to_owned())
    }
}

impl Entry {
    fn rule(self, accounts: &dyn Accounts) -> Result<Rule, Problem> {
        let subject = self.subject(accounts)?;
        let layers = self.layers.unwrap_or_else(|| vec![Layer::Tun]);
        let namespaces = self.namespaces.unwrap_or_else(|| vec!["own".to_owned()]);
        for (what, length) in [
            ("names", self.names.len()),
            ("layers", layers.len()),
            ("addresses", self.addresses.len() + 1),
            ("namespaces", namespaces.len()),
        ] {
            if length == 0 || length > MOST_ITEMS {
                return Err(format!("{what} has no items, or more than {MOST_ITEMS}").into());
            }
        }
        if self.devices == Some(0) {
            return Err("devices is 0: leave the rule out".into());
        }
        let names = self.names.iter().map(|name| {
            NameRule::parse(name).map_err(|why| format!("the name `{}`: {why}", name.escape_debug()))
        });
        Ok(Rule {
            subject,
            names: names.collect::<Result<_, _>>()?,
            layers: Layers { tun: layers.contains(&Layer::Tun), tap: layers.contains(&Layer::Tap) },
            devices: self.devices.unwrap_or(1),
            addresses: self.addresses.iter().map(|text| Network::parse(text)).collect::<Result<_, _>>()?,
            mtu: range("mtu", self.mtu.unwrap_or((576, 1500)), MTUS)?,
            queue_length: range("queue_length", self.queue_length.unwrap_or((0, 1000)), 0..=u32::MAX)?,
            namespaces: namespaces.iter().map(|text| namespace(text)).collect::<Result<_, _>>()?,
        })
    }

    fn subject(&self, accounts: &dyn Accounts) -> Result<Subject, Problem> {
        let unknown = |what: &str, name: &str| {
            format!("there is no {what} `{}` in the system's own list: use the number", name.escape_debug())
        };
        match (&self.user, &self.group) {
            (Some(account), None) => {
                let uid = account.number(|name| accounts.user(name)).map_err(Problem::Accounts)?;
                Ok(Subject::User(uid.ok_or_else(|| unknown("user", account.name()))?))
            }
            (None, Some(account)) => {
                let gid = account.number(|name| accounts.group(name)).map_err(Problem::Accounts)?;
                Ok(Subject::Group(gid.ok_or_else(|| unknown("group", account.name()))?))
            }
            _ => Err("it is about a user or about a group, and about one of them alone".into()),
        }
    }
}

impl Account {
    fn number(
        &self,
        look_up: impl Fn(&str) -> Result<Option<u32>, PolicyError>,
    ) -> Result<Option<u32>, PolicyError> {
        match self {
            Self::Number(number) => Ok(Some(*number).filter(|&number| number != u32::MAX)),
            // No system has a name of digits alone.
            Self::Name(name) => id(name).map_or_else(|| look_up(name), |id| Ok(Some(id))),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Number(_) => "4294967295",
            Self::Name(name) => name,
        }
    }
}

fn range(
    what: &str,
    (first, last): (u32, u32),
    possible: RangeInclusive<u32>,
) -> Result<RangeInclusive<u32>, String> {
    if first <= last && possible.contains(&first) && possible.contains(&last) {
        return Ok(first..=last);
    }
    Err(format!("{what} is from and to, within {} to {}", possible.start(), possible.end()))
}

fn namespace(text: &str) -> Result<NamespaceRule, String> {
    let path = Path::new(text);
    let is_plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    match text {
        "own" => Ok(NamespaceRule::Own),
        _ if path.is_absolute() && is_plain => Ok(NamespaceRule::Mounted(PathBuf::from(text))),
        _ => Err(format!("the namespace `{}` is neither \"own\" nor a plain path", text.escape_debug())),
    }
}

/// The line of an offset, from one.
fn line(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
