//! What there is in a namespace, by iproute2's report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::Command;

use serde_json::Value;

/// The interfaces by index. Loopback is left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct State(BTreeMap<u64, Interface>);

/// What a scenario may change of an interface, its name included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Interface {
    properties: BTreeMap<&'static str, String>,
    addresses: BTreeSet<String>,
}

/// The MAC addresses that scenarios choose; of others the kernel chose.
const CHOSEN: &str = "02:00:5e:";

impl State {
    /// Asks in the calling process's namespace.
    pub(crate) fn now() -> Result<Self, String> {
        let output = Command::new("ip").args(["-d", "-j", "address", "show"]).output();
        let output = output.map_err(|error| format!("ip: {error}"))?;
        let all: Vec<Value> =
            serde_json::from_slice(&output.stdout).map_err(|error| format!("ip's report: {error}"))?;
        let interfaces = all.iter().filter(|interface| interface["ifname"] != "lo");
        let indexed = |one: &Value| Some((one["ifindex"].as_u64()?, Interface::of(one)));
        Ok(Self(interfaces.filter_map(indexed).collect()))
    }

    /// The interfaces that are nobody's in the scenario.
    pub(crate) fn strangers(&self) -> Self {
        let strangers =
            self.0.iter().filter(|(_, one)| matches!(one.name(), "stranger" | "other" | "theirs"));
        Self(strangers.map(|(index, one)| (*index, one.clone())).collect())
    }

    /// What neither state explains, where a program was stopped on its way from `before` to `after`.
    pub(crate) fn unexplained(&self, before: &Self, after: &Self) -> Option<String> {
        let gone = before.0.keys().find(|index| after.0.contains_key(index) && !self.0.contains_key(index));
        if let Some(index) = gone {
            return Some(format!("the interface with index {index} is gone"));
        }
        self.0.iter().find_map(|(index, seen)| {
            // A run that creates an interface may have used up another index.
            let named = || after.0.values().find(|one| one.name() == seen.name());
            match (before.0.get(index), after.0.get(index)) {
                (Some(was), is) => seen.unexplained(was, is.unwrap_or(was)),
                (None, is) => match is.or_else(named) {
                    Some(is) => seen.unexplained(&is.when_new(), is),
                    None => Some(format!("{} is left", seen.name())),
                },
            }
        })
    }

    fn by_name(&self) -> BTreeMap<&str, &Interface> {
        self.0.values().map(|one| (one.name(), one)).collect()
    }
}

/// Indices do not count: an attempt that fails uses one up.
impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.by_name() == other.by_name()
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.values().try_for_each(|one| writeln!(f, "      {one}"))
    }
}

impl Interface {
    fn of(report: &Value) -> Self {
        let flags = report["flags"].as_array();
        let is_up = flags.is_some_and(|flags| flags.iter().any(|flag| flag == "UP"));
        let mac = text(&report["address"]);
        let mut properties = BTreeMap::from([
            ("name", text(&report["ifname"])),
            ("state", if is_up { "up" } else { "down" }.to_owned()),
            ("mtu", report["mtu"].to_string()),
            ("qlen", report["txqlen"].to_string()),
            ("mac", if mac.starts_with(CHOSEN) { mac } else { "-".to_owned() }),
            ("alias", text(&report["ifalias"])),
        ]);
        let driver = &report["linkinfo"]["info_data"];
        for key in ["type", "persist", "user", "group", "multi_queue"] {
            properties.insert(key, driver[key].to_string());
        }
        let addresses = report["addr_info"].as_array().into_iter().flatten();
        // Link-local addresses come and go with the kernel's own timers.
        let addresses = addresses.filter(|address| address["scope"] != "link").map(|address| {
            let peer = address["address"].as_str().map(|peer| format!(" peer {peer}")).unwrap_or_default();
            format!("{}{peer}/{}", text(&address["local"]), address["prefixlen"])
        });
        Self { properties, addresses: addresses.collect() }
    }

    /// As it was before anything was set, if it was created to become this.
    fn when_new(&self) -> Self {
        let mut new = Self { properties: self.properties.clone(), addresses: BTreeSet::new() };
        let queue_length = if self.properties["type"] == "\"tun\"" { "500" } else { "1000" };
        new.properties.extend([
            ("state", "down".to_owned()),
            ("mtu", "1500".to_owned()),
            ("qlen", queue_length.to_owned()),
            ("mac", "-".to_owned()),
            ("alias", String::new()),
            ("persist", "false".to_owned()),
            ("user", "null".to_owned()),
            ("group", "null".to_owned()),
        ]);
        new
    }

    fn name(&self) -> &str {
        &self.properties["name"]
    }

    fn unexplained(&self, was: &Self, is: &Self) -> Option<String> {
        let foreign = self
            .properties
            .iter()
            .find(|(key, now)| [was, is].iter().all(|state| state.properties.get(*key) != Some(*now)));
        if let Some((key, now)) = foreign {
            return Some(format!("{key} of {} is {now}, before and after it is another", self.name()));
        }
        if let Some(address) =
            self.addresses.iter().find(|one| ![was, is].iter().any(|state| state.addresses.contains(*one)))
        {
            return Some(format!("{} has {address}, before and after it has not", self.name()));
        }
        let kept = was.addresses.intersection(&is.addresses);
        // The kernel takes a network's other addresses with its first, and they have to be added again.
        let goes = was.addresses.difference(&is.addresses).any(|address| !address.contains(':'));
        let mut lost =
            kept.filter(|address| !self.addresses.contains(*address) && (address.contains(':') || !goes));
        lost.next().map(|address| format!("{} has lost {address}, before and after it has it", self.name()))
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.properties, self.addresses)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(index: u64, name: &str, mtu: &str, addresses: &[&str]) -> State {
        let properties = [("name", name), ("mtu", mtu), ("type", "\"tun\"")];
        let properties = properties.map(|(key, value)| (key, value.to_owned())).into();
        let addresses = addresses.iter().copied().map(str::to_owned).collect();
        State(BTreeMap::from([(index, Interface { properties, addresses })]))
    }

    #[test]
    fn a_stop_on_the_way_is_explained_by_either_end() {
        let before = state(5, "t0", "1500", &["fd77::1/64", "10.0.0.1/24"]);
        let after = state(5, "t9", "1400", &["fd77::1/64", "10.0.0.2/24"]);
        for seen in [
            state(5, "t0", "1400", &["fd77::1/64", "10.0.0.1/24"]),
            state(5, "t9", "1500", &["fd77::1/64", "10.0.0.2/24", "10.0.0.1/24"]),
            state(5, "t9", "1500", &["fd77::1/64"]),
        ] {
            assert_eq!(seen.unexplained(&before, &after), None);
        }
        for seen in [
            state(5, "t1", "1500", &["fd77::1/64"]),
            state(5, "t0", "1300", &["fd77::1/64"]),
            state(5, "t0", "1500", &["fd77::1/64", "10.0.0.3/24"]),
            state(5, "t0", "1500", &["10.0.0.1/24"]),
            state(6, "t8", "1500", &[]),
            State::default(),
        ] {
            assert!(seen.unexplained(&before, &after).is_some(), "{seen}");
        }
    }

    #[test]
    fn an_interface_that_is_to_come_or_to_go_may_be_there_or_not() {
        let (none, some) = (State::default(), state(5, "t0", "1500", &["fd77::1/64"]));
        for (before, after) in [(&none, &some), (&some, &none)] {
            assert_eq!(none.unexplained(before, after), None);
            assert_eq!(some.unexplained(before, after), None);
        }
        // An attempt has used up an index.
        let seen = state(6, "t0", "1500", &[]);
        assert_eq!(seen.unexplained(&none, &some), None);
    }
}
