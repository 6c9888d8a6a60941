//! What the rules about a user allow, and how it is printed.

use std::io::{self, BufWriter, Write};
use std::ops::RangeInclusive;

use serde::Serialize;
use tunctl_helper::netlink::{Link, Route};
use tunctl_helper::policy::{ALIAS, NamespaceRule, Namespaces, Network, Policy, Rule, Subject, alias};

use super::account::Account;
use super::check::Report;
use crate::command::helper::write_beside;

/// A rule about the user.
#[derive(Serialize)]
pub(super) struct RuleReport {
    /// Its position in the policy, from one.
    pub(super) number: usize,
    pub(super) about: String,
    pub(super) layers: String,
    pub(super) names: Vec<NameReport>,
    pub(super) addresses: Vec<RangeReport>,
    pub(super) mtu: [u32; 2],
    pub(super) queue_length: [u32; 2],
    pub(super) namespaces: Vec<String>,
    /// Whether one of them is the present one.
    pub(super) here: bool,
}

/// A name that a rule allows.
#[derive(Serialize)]
pub(super) struct NameReport {
    pub(super) name: String,
    /// How many interfaces the user may have by it.
    pub(super) devices: u32,
    /// Which there are.
    pub(super) present: Vec<String>,
}

/// Where addresses may be.
#[derive(Serialize)]
pub(super) struct RangeReport {
    pub(super) range: String,
    /// The routes in whose networks an address of the range is refused.
    pub(super) routes: Vec<RouteReport>,
}

#[derive(Serialize)]
pub(super) struct RouteReport {
    pub(super) destination: String,
    pub(super) interface: Option<String>,
}

impl RuleReport {
    /// Whether the user may have one more interface by it.
    pub(super) fn has_room(&self) -> bool {
        self.names.iter().any(|name| name.present.len() < usize::try_from(name.devices).unwrap_or(usize::MAX))
    }
}

/// The rules about a user.
pub(super) fn rules(
    policy: &Policy,
    user: &Account,
    namespaces: &Namespaces,
    links: &[Link],
    routes: &[Route],
) -> Vec<RuleReport> {
    let caller = user.caller();
    let about = policy.rules.iter().zip(1..).filter(|(rule, _)| rule.subject.is(&caller));
    about
        .map(|(rule, number)| RuleReport {
            number,
            about: about_in_words(rule.subject, user),
            layers: rule.layers.to_string(),
            names: names(rule, user.uid, links),
            addresses: rule.addresses.iter().map(|range| range_report(range, links, routes)).collect(),
            mtu: [*rule.mtu.start(), *rule.mtu.end()],
            queue_length: [*rule.queue_length.start(), *rule.queue_length.end()],
            namespaces: rule.namespaces.iter().map(NamespaceRule::to_string).collect(),
            here: namespaces.allow(rule),
        })
        .collect()
}

fn names(rule: &Rule, uid: u32, links: &[Link]) -> Vec<NameReport> {
    let report = |name| {
        let mark = alias(uid, name);
        let present = links.iter().filter(|link| link.alias == mark.as_bytes());
        NameReport {
            name: name.to_string(),
            devices: rule.devices,
            present: present.map(|link| shown(&link.name)).collect(),
        }
    };
    rule.names.iter().map(report).collect()
}

/// Routes of interfaces that the helper has made are none that cover anything.
fn range_report(range: &Network, links: &[Link], routes: &[Route]) -> RangeReport {
    let link = |route: &Route| links.iter().find(|link| link.index == route.interface);
    let is_ours = |route| link(route).is_some_and(|link| link.alias.starts_with(ALIAS.as_bytes()));
    let foreign: Vec<_> =
        routes.iter().filter(|route| route.destination.overlaps(range) && !is_ours(route)).collect();
    // A network's own route says enough: those of single addresses in it come with it.
    let is_part = |one: &Route, of: &Route| {
        one.destination != of.destination && of.destination.contains(&one.destination)
    };
    let whole = foreign.iter().filter(|route| !foreign.iter().any(|other| is_part(route, other)));
    let report = |route: &&Route| RouteReport {
        destination: route.destination.to_string(),
        interface: link(route).map(|link| shown(&link.name)),
    };
    RangeReport { range: range.to_string(), routes: whole.map(report).collect() }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Prints it for people.
pub(super) fn write(report: &Report) -> io::Result<()> {
    let mut to = BufWriter::new(io::stdout().lock());
    line(&mut to, "user", &[user_in_words(&report.user)])?;
    line(&mut to, "helper", &[report.helper.in_words()])?;
    line(&mut to, "policy", &[report.policy.in_words()])?;
    for rule in &report.rules {
        write_rule(&mut to, rule)?;
    }
    to.flush()
}

fn user_in_words(user: &Account) -> String {
    let groups: Vec<_> =
        user.groups.iter().map(|group| with_number(group.name.as_ref(), group.gid)).collect();
    let groups = if groups.is_empty() { "none that is known".to_owned() } else { groups.join(", ") };
    format!("{}, groups: {groups}", with_number(user.name.as_ref(), user.uid))
}

fn about_in_words(subject: Subject, user: &Account) -> String {
    match subject {
        Subject::User(uid) => format!("user {}", with_number(user.name.as_ref(), uid)),
        Subject::Group(gid) => {
            let name =
                user.groups.iter().find(|group| group.gid == gid).and_then(|group| group.name.as_ref());
            format!("group {}", with_number(name, gid))
        }
    }
}

fn with_number(name: Option<&String>, id: u32) -> String {
    name.map_or_else(|| id.to_string(), |name| format!("{name} ({id})"))
}

fn write_rule(to: &mut impl Write, rule: &RuleReport) -> io::Result<()> {
    let here =
        if rule.here { "in force here" } else { "not in force: it does not allow this network namespace" };
    line(to, &format!("rule {}", rule.number), &[format!("about {}; {here}", rule.about)])?;
    line(to, "  names", &rule.names.iter().map(name_in_words).collect::<Vec<_>>())?;
    line(to, "  layers", std::slice::from_ref(&rule.layers))?;
    line(to, "  addresses", &addresses_in_words(&rule.addresses))?;
    for (what, [first, last], unit) in [("mtu", rule.mtu, "bytes"), ("queue", rule.queue_length, "packets")] {
        line(to, &format!("  {what}"), &[range_in_words(first..=last, unit)])?;
    }
    line(to, "  namespaces", &[rule.namespaces.join(", ")])
}

fn name_in_words(name: &NameReport) -> String {
    let present = match name.present.as_slice() {
        [] => "none now".to_owned(),
        present => format!("{} now ({})", present.len(), present.join(", ")),
    };
    format!("{}: {} at a time, {present}", name.name, name.devices)
}

fn addresses_in_words(ranges: &[RangeReport]) -> Vec<String> {
    if ranges.is_empty() {
        return vec!["none".to_owned()];
    }
    let in_words = |range: &RangeReport| {
        let routes: Vec<_> = range.routes.iter().map(RouteReport::in_words).collect();
        if routes.is_empty() {
            return range.range.clone();
        }
        format!("{}; warning: refused where a route of this system leads: {}", range.range, routes.join(", "))
    };
    ranges.iter().map(in_words).collect()
}

impl RouteReport {
    fn in_words(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{} by {interface}", self.destination),
            None => self.destination.clone(),
        }
    }
}

fn range_in_words(range: RangeInclusive<u32>, unit: &str) -> String {
    format!("{} to {} {unit}", range.start(), range.end())
}

/// Writes a property, and each of its values on a line.
fn line(to: &mut impl Write, what: &str, values: &[String]) -> io::Result<()> {
    let names = [what].into_iter().chain(std::iter::repeat(""));
    names.zip(values).try_for_each(|(what, value)| write_beside(&mut *to, what, value))
}
