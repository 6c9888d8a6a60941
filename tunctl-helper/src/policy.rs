//! The policy: which users may have which interfaces.
//!
//! It is one TOML file, which only root can have written. What it does not allow is denied. [`EXAMPLE`] shows
//! what it can say.

mod accounts;
mod decide;
mod error;
mod file;
mod name;
mod network;
mod parse;

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

pub use accounts::{Accounts, Etc};
pub use decide::{Caller, Grant, Namespaces, alias, decide, networks};
pub use error::PolicyError;
pub use name::NameRule;
pub use network::Network;

/// Where the policy is.
pub const PATH: &str = "/etc/tunctl/policy.toml";

/// A policy that allows nothing, and shows in comments what one can allow.
pub const EXAMPLE: &str = include_str!("policy/example.toml");

/// What the alias of an interface begins with, behind which its maker's uid follows.
pub const ALIAS: &str = "tunctl-helper uid ";

/// Who may have what. The default allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The rules, in the order of the file.
    pub rules: Vec<Rule>,
}

/// What one user, or each member of a group, may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whom it is about.
    pub subject: Subject,
    /// How an interface may be called.
    pub names: Vec<NameRule>,
    /// Whether it may be a tun, and whether it may be a tap.
    pub layers: Layers,
    /// How many interfaces each user may have at a time, for each entry of `names`.
    pub devices: u32,
    /// The networks in which its addresses may be.
    pub addresses: Vec<Network>,
    /// The MTUs that it may have, in bytes.
    pub mtu: RangeInclusive<u32>,
    /// How long its queue may be, in packets.
    pub queue_length: RangeInclusive<u32>,
    /// Where the user may be.
    pub namespaces: Vec<NamespaceRule>,
}

/// Whom a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The user with this uid.
    User(u32),
    /// The members of the group with this gid.
    Group(u32),
}

/// The layers that a rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// IP packets.
    pub tun: bool,
    /// Ethernet frames.
    pub tap: bool,
}

/// A network namespace that a rule allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamespaceRule {
    /// Each that belongs to the user namespace of the helper: the host's, and no container's that has users
    /// of its own.
    Own,
    /// The one that is mounted here.
    Mounted(PathBuf),
}

impl Policy {
    /// Reads the system's policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] says what is wrong with it.
    pub fn read() -> Result<Self, PolicyError> {
        let text = file::read(Path::new(PATH), file::MOST)?;
        let text = String::from_utf8(text).map_err(|_| PolicyError::invalid("it is no UTF-8"))?;
        Self::parse(&text, &Etc::default())
    }

    /// The rules about a user, in order.
    pub fn rules_for<'a>(&'a self, caller: &'a Caller) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(|rule| rule.subject.is(caller))
    }
}

impl Subject {
    /// Whether it is this caller, or a group of theirs.
    #[must_use]
    pub fn is(self, caller: &Caller) -> bool {
        match self {
            Self::User(uid) => uid == caller.uid,
            Self::Group(gid) => gid == caller.gid || caller.groups.contains(&gid),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "user {uid}"),
            Self::Group(gid) => write!(f, "group {gid}"),
        }
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.tun, self.tap) {
            (true, true) => "tun, tap",
            (true, false) => "tun",
            (false, true) => "tap",
            (false, false) => "none",
        })
    }
}

impl fmt::Display for NamespaceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Mounted(path) => path.display().fmt(f),
        }
    }
}
